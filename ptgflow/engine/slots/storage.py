"""Storage for the keys and values of rows that have the same number of slots."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.engine.memory import give_back

STEP: Final = 128
"""Slots come in steps of so many, of twice as many from 1024 slots on, of four times as many from 2048 on, and so on:
a row has at most a quarter of its slots too many, and outgrows its bucket rarely."""


def capacity_for(slots: int, step: int = STEP) -> int:
    """The smallest capacity that holds so many slots."""
    assert slots >= 0, "slots are counted"
    while slots > 8 * step:
        step *= 2
    return max(-(-slots // step), 1) * step


def power_of_two(number: int) -> int:
    """The smallest power of two that is not smaller."""
    return 1 << (number - 1).bit_length() if number > 1 else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValueShape:
    """What one token leaves behind in a model."""

    layers: int
    heads: int
    """Key-value heads of a layer."""
    size: int
    """Numbers in a key and in a value."""
    dtype: torch.dtype
    device: torch.device

    @property
    def bytes_per_slot(self) -> int:
        """Bytes of one token's keys and values in all layers."""
        return 2 * self.layers * self.heads * self.size * self.dtype.itemsize

    def index(self, values: Sequence[int]) -> Int[Tensor, " values"]:
        """Numbers of tokens, rows or slots as a tensor beside the keys and values."""
        return torch.tensor(values, dtype=torch.long, device=self.device)


@final
class Bucket:
    """Rows of one capacity: a tensor `[rows, capacity, 2, heads, size]` a layer, keys at 0 and values at 1 of axis 2.

    Rows lie next to each other in the order of `members`, so that a pass over all of them reads views. A token's keys
    and values of all heads lie together, so that writing them is one copy.
    """

    def __init__(self, shape: KeyValueShape, capacity: int) -> None:
        self.shape = shape
        self.capacity = capacity
        self.members: list[int] = []
        """Which row lies where."""
        self.layers: list[Float[Tensor, "rows capacity 2 heads size"]] = []
        self.moves = 0
        """How often the storage has been made anew: what holds on to its addresses is stale after that."""
        self._resize(0)

    @property
    def room(self) -> int:
        """For how many rows there is memory."""
        return int(self.layers[0].shape[0])

    def bytes_with(self, rows: int) -> int:
        """Bytes that the bucket takes with memory for so many rows."""
        return rows * self.capacity * self.shape.bytes_per_slot

    def reserve(self, rows: int) -> None:
        """Make memory for so many rows, or let go of memory that is more than a quarter too much."""
        assert rows >= len(self.members), "rows that are here keep their memory"
        if rows > self.room:
            self._resize(rows)
        elif self.room > rows + rows // 4:
            self._resize(rows)
            give_back()

    def append(self, row: int) -> int:
        """Put a row behind the others, in memory that was reserved; where it lies."""
        assert len(self.members) < self.room, "memory is reserved before a row is put into it"
        self.members.append(row)
        return len(self.members) - 1

    def remove(self, row: int) -> None:
        """Take a row out; the last one moves into its place."""
        at, last = self.members.index(row), len(self.members) - 1
        if at != last:
            for layer in self.layers:
                layer[at] = layer[last]
            self.members[at] = self.members[last]
        self.members.pop()

    def copy(self, source: "Bucket", start: int, at: int, slots: int) -> None:
        """Copy the first `slots` slots of row number `start` of another bucket, or of this one, to row number `at`."""
        for ours, theirs in zip(self.layers, source.layers, strict=True):
            ours[at, :slots] = theirs[start, :slots]

    def flat(self, layer: int) -> Float[Tensor, "slots 2 heads size"]:
        """A layer's storage by `row number * capacity + slot`."""
        store = self.layers[layer]
        return store.view(-1, *store.shape[2:])

    def shown(self, layer: int, first: int, last: int) -> tuple[Tensor, Tensor]:
        """A layer's keys and values of neighbouring rows, each `[rows, heads, capacity, size]`: views, not copies."""
        keys, values = self.layers[layer][first:last].permute(2, 0, 3, 1, 4)
        return keys, values

    def move(self, sources: Int[Tensor, " moves"], targets: Int[Tensor, " moves"]) -> None:
        """Copy slots, all at once; a slot is `row number * capacity + slot`."""
        for layer in range(self.shape.layers):
            flat = self.flat(layer)
            flat[targets] = flat[sources]

    def _resize(self, rows: int) -> None:
        shape = self.shape
        size = (rows, self.capacity, 2, shape.heads, shape.size)
        keep = min(rows, len(self.members))
        fresh: list[Tensor] = []
        for at in range(shape.layers):
            # Zeros and not uninitialised memory: a masked slot counts with weight 0, and 0 times NaN would be NaN.
            larger = torch.zeros(size, dtype=shape.dtype, device=shape.device)
            if keep:
                larger[:keep] = self.layers[at][:keep]
                # Layer by layer, so that no more than one layer is there twice at any time.
                self.layers[at] = larger
            fresh.append(larger)
        self.layers = fresh
        self.moves += 1

    def check(self, lengths: Sequence[int]) -> None:
        """Verify that the storage holds what rows of these lengths need."""
        shape = self.shape
        assert len(self.layers) == shape.layers, "every layer has storage"
        assert len(self.members) == len(set(self.members)) == len(lengths) <= self.room, "a row lies in one place"
        assert max(lengths, default=0) <= self.capacity, "every slot of a row is in its bucket"
        for layer in self.layers:
            assert layer.shape == (self.room, self.capacity, 2, shape.heads, shape.size), "layers are alike"
            assert bool(torch.isfinite(layer).all()), "even unseen slots are finite: 0 times infinity is not 0"
