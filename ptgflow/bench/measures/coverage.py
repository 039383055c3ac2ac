"""Whether an answer in parts says something about each of them."""

from collections.abc import Sequence
from typing import Final

from ptgflow.bench.measures.rouge import words_of

_STEM: Final = 5
"""Letters by which words are compared, so that `managing` is about `management`."""
_SHORTEST: Final = 4
"""Letters of a word of a title that says what the part is about."""


def covered(title: str | None, text: str) -> bool:
    """Whether a part of a plan is written, and on its subject.

    It is when, behind the title that it opens with, it has words, and one of these agrees in its first five letters
    with a word of the title of at least four letters. Where the title has no such word, words are enough.
    """
    said = _behind(title, text)
    about = {word[:_STEM] for word in words_of(title or "") if len(word) >= _SHORTEST}
    return bool(said) and (not about or not about.isdisjoint(word[:_STEM] for word in said))


def _behind(title: str | None, text: str) -> list[str]:
    """The words of a part without the title that it opens with."""
    head, said = words_of(title or ""), words_of(text)
    return said[len(head) :] if said[: len(head)] == head else said


def filled(points: Sequence[tuple[str | None, str]]) -> float | None:
    """Share of the parts, title and text each, that have words; None of an answer that was not split."""
    if len(points) < 2:
        return None
    return sum(bool(_behind(title, text)) for title, text in points) / len(points)


def coverage(points: Sequence[tuple[str | None, str]]) -> float | None:
    """Share of the parts, title and text each, that are covered; None of an answer that was not split."""
    if len(points) < 2:
        return None
    return sum(covered(title, text) for title, text in points) / len(points)
