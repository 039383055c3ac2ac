"""How much a text repeats itself, in words."""

from collections.abc import Sequence

from ptgflow.bench.measures.rouge import words_of


def distinct(text: str, size: int) -> float | None:
    """Share of different n-grams among all (Li et al., arXiv 1510.03055), from 0 to 1; None of a shorter text."""
    words = words_of(text)
    grams = [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]
    return len(set(grams)) / len(grams) if grams else None


def repeated(text: str, size: int = 4) -> float | None:
    """Share of n-grams that stand in the text before: rep-n (Welleck et al., arXiv 1908.04319), 1 less `distinct`."""
    found = distinct(text, size)
    return None if found is None else 1 - found


def mean(values: Sequence[float | None]) -> float | None:
    """Of those that there are; None where there is none."""
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known else None
