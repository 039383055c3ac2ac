"""ROUGE-L: how much of two texts is the same in the same order."""

import re
from collections.abc import Sequence
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """Lower-case runs of letters and digits, as ROUGE's scripts cut a text (without a stemmer)."""
    return _WORD.findall(text.lower())


def common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    Bit-parallel (Hyyro 2004): bit i of `row` is 0 where word i of `one` lengthens what is common to the words before.
    """
    places: dict[str, int] = {}
    for at, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << at
    all_ones = (1 << len(one)) - 1
    row = all_ones
    for word in other:
        kept = row & places.get(word, 0)
        row = (row + kept | row - kept) & all_ones
    return len(one) - row.bit_count()


def rouge_l(text: str, reference: str) -> float:
    """F1 of ROUGE-L (Lin 2004, section 3.1, with beta 1), from 0 to 1; two texts without words are equal."""
    own, wanted = words_of(text), words_of(reference)
    if not own or not wanted:
        return float(own == wanted)
    shared = common(own, wanted)
    return 2 * shared / (len(own) + len(wanted))
