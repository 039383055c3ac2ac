"""What the best editor would do: the fewest edits from one text to another (Levenshtein Transformer, Eq. 4).

Deleting a token and inserting one cost 1 each. Where tokens may be moved, writing in a place what stands elsewhere near
it costs 1, too: the edits of EDITOR (Xu & Carpuat, TACL 2021, section 3.3), whose reposition includes deletion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DROPPED: Final = None
"""Stands for no place in the target."""
_NEVER: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Alignment:
    """Which token of the target each token of the source becomes, ascending; None: it goes."""

    places: tuple[int | None, ...]
    edits: int
    """How many edits there are in all."""

    def counts(self, target: int) -> tuple[int, ...]:
        """How many tokens are missing in each gap: before the first token of the source, and behind each.

        Where a token goes there are two gaps between those that stay; what is missing is then in the last one.

        Args:
            target: tokens of the target.
        """
        found = [0] * (len(self.places) + 1)
        last = -1
        for at, place in enumerate((*self.places, target)):
            if place is not None:
                found[at] = place - last - 1
                last = place
        return tuple(found)


def aligned(source: Sequence[int], target: Sequence[int], *, reach: int = 0) -> Alignment:
    """The fewest edits; of equally many those that keep what stands first.

    Args:
        source: what is edited.
        target: what it is to become.
        reach: how far a token can be moved; 0: it cannot.
    """
    costs = _costs(source, target, reach)
    table = _table(costs)
    places: list[int | None] = []
    at, to = 0, 0
    while at < len(source):
        here = table[at, to]
        if to < len(target) and here == table[at + 1, to + 1] + costs[at, to]:
            places.append(to)
            at, to = at + 1, to + 1
        elif here == table[at + 1, to] + 1:
            places.append(DROPPED)
            at += 1
        else:
            to += 1
    return Alignment(tuple(places), int(table[0, 0]))


def pointers(source: Sequence[int], target: Sequence[int], found: Alignment, *, reach: int) -> tuple[int | None, ...]:
    """From where each place of the source gets its token: how many places further on it stands; None: it goes.

    Args:
        source: what is edited.
        target: what it becomes.
        found: by which edits.
        reach: how far a token can be moved.
    """
    # The nearest one; of two the later one.
    order = sorted(range(-reach, reach + 1), key=lambda offset: (abs(offset), -offset))

    def offset(at: int, token: int) -> int:
        return next(step for step in order if 0 <= at + step < len(source) and source[at + step] == token)

    return tuple(None if to is None else offset(at, target[to]) for at, to in enumerate(found.places))


def _costs(source: Sequence[int], target: Sequence[int], reach: int) -> NDArray[np.int32]:
    """Of making each token of the source each one of the target in its place."""
    same = np.asarray(source, dtype=np.int64)[:, None] == np.asarray(target, dtype=np.int64)[None, :]
    costs = np.where(same, 0, _NEVER).astype(np.int32)
    if reach:
        before = np.concatenate((np.zeros((1, same.shape[1]), dtype=np.int32), same.cumsum(axis=0, dtype=np.int32)))
        places = np.arange(len(source))
        near = before[np.minimum(places + reach + 1, len(source))] - before[np.maximum(places - reach, 0)]
        costs[(near > 0) & ~same] = 1
    return costs


def _table(costs: NDArray[np.int32]) -> NDArray[np.int32]:
    """Of each two ends of the texts the fewest edits from one to the other."""
    rows, columns = costs.shape
    table = np.empty((rows + 1, columns + 1), dtype=np.int32)
    # Insertions along a row are a running minimum once each entry is told without them.
    ahead = np.arange(columns, -1, -1, dtype=np.int32)
    table[rows] = ahead
    for row in range(rows - 1, -1, -1):
        best = table[row + 1] + 1
        best[:-1] = np.minimum(best[:-1], table[row + 1, 1:] + costs[row])
        table[row] = np.minimum.accumulate((best - ahead)[::-1])[::-1] + ahead
    return table
