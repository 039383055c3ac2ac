"""Which rows begin with the same tokens: what they share is read once and copied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LEAST: Final = 16
"""Fewer shared tokens are not worth waiting for: reading them costs about as much as the copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A beginning that a row has in common with another."""

    row: int
    """The other row."""
    length: int
    """How many tokens."""


def shared_beginning(context: list[int], others: Mapping[int, list[int]]) -> Shared | None:
    """The longest beginning that a text shares with one of others; None where none is worth sharing.

    The last token of the text is never shared: reading it gives the logits after it.
    """
    best: Shared | None = None
    if len(context) <= LEAST:
        return None
    for row, other in others.items():
        if other[:LEAST] != context[:LEAST]:
            continue
        length = shared_length(context, other, most=len(context) - 1)
        if best is None or length > best.length:
            best = Shared(row=row, length=length)
    return best


def shared_length(one: Sequence[object], other: Sequence[object], *, most: int | None = None) -> int:
    """How many leading tokens two texts share, and at most `most`; by bisection over whole slices."""
    low, high = 0, min(len(one), len(other), len(one) if most is None else most)
    while low < high:
        middle = (low + high + 1) // 2
        if list(one[low:middle]) == list(other[low:middle]):
            low = middle
        else:
            high = middle - 1
    return low
