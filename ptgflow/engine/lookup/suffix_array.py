"""Suffix arrays: the places of a sequence of tokens in the order of what stands there."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

DEPTH: Final = 128
"""Tokens by which places are ordered: as many as a draft and what it is looked up by have together, and more."""


def suffix_array(tokens: NDArray[np.int32], *, depth: int = DEPTH) -> NDArray[np.int64]:
    """The places of a sequence, ordered by their next `depth` tokens; of equal ones the earlier first.

    By prefix doubling (Manber and Myers, "Suffix arrays: a new method for on-line string searches", 1993): what is
    ordered by its next n tokens is ordered by the next 2 n with one sort of pairs. The end comes before every token.
    """
    count, width = len(tokens), 1
    rank = np.unique(tokens, return_inverse=True)[1].astype(np.int64)
    order = np.argsort(rank, kind="stable")
    while width < depth and width < count:
        following = np.zeros(count, dtype=np.int64)
        following[: count - width] = rank[width:] + 1
        pairs = rank * (count + 1) + following
        order = np.argsort(pairs, kind="stable")
        ordered = pairs[order]
        rank[order] = np.concatenate(([0], np.cumsum(ordered[1:] != ordered[:-1])))
        if rank[order[-1]] == count - 1:
            break  # No two are equal any more.
        width *= 2
    return order


def span(tokens: NDArray[np.int32], order: NDArray[np.integer], words: Sequence[int]) -> tuple[int, int]:
    """Where in the order the places stand at which some words are: from, and up to. O(words log tokens)."""
    wanted = list(words)

    def at(number: int) -> list[int]:
        place = int(order[number])
        found: list[int] = tokens[place : place + len(wanted)].tolist()
        return found

    first = bisect_left(range(len(order)), wanted, key=at)
    return first, bisect_right(range(len(order)), wanted, lo=first, key=at)
