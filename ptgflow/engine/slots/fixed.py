"""Where a pass of a fixed shape reads and writes: all rows of a bucket, each with the same number of new tokens.

A row's tokens stand at the left, in the slots behind its length. So lengths, depths and what tree nodes see of each
other say everything; slots, positions and masks follow from them by arithmetic of one shape, on the device.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ptgflow.engine.slots.placement import NewTokens
from ptgflow.engine.slots.storage import Bucket


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FixedPlacement:
    """One pass over a whole bucket."""

    bucket: Bucket
    width: int
    """New tokens of each row, padding included."""
    lengths: tuple[int, ...]
    """Valid slots of each row in the bucket; memory without a row has none."""
    new: Mapping[int, NewTokens]
    """What the rows bring, by where they lie; the others bring nothing but padding."""
    order: tuple[int, ...]
    """Where the rows lie, in the caller's order."""
    wanted: tuple[int, ...]
    """Where the rows lie whose logits are wanted, in the caller's order."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, new tokens a row, slots a row."""
        return self.bucket.room, self.width, self.bucket.capacity

    def numbers(self) -> Int[Tensor, "rows numbers"]:
        """For each row its length, `width` token ids, and the `width` distances of their positions from the length.

        On the processor, in one tensor, so that one copy brings it to the device. Padding is token 0 at distance 0.
        """
        room, width, _ = self.shape
        lines: list[list[int]] = []
        for at in range(room):
            length = self.lengths[at] if at < len(self.lengths) else 0
            brought = self.new.get(at)
            ids = brought.ids if brought is not None else []
            steps = [position - length for position in brought.positions] if brought is not None else []
            lines.append([length, *ids, *[0] * (width - len(ids)), *steps, *[0] * (width - len(steps))])
        return torch.tensor(lines, dtype=torch.long)

    def sees(self) -> Bool[Tensor, "rows width width"]:
        """Which new tokens of its row each new token sees; padding sees itself."""
        room, width, _ = self.shape
        found = torch.eye(width, dtype=torch.bool).repeat(room, 1, 1)
        for at, brought in self.new.items():
            found[at, : brought.count, : brought.count] = brought.sees()
        return found

    def listed_tokens(self) -> Int[Tensor, " tokens"]:
        """All new tokens in the caller's order, as numbers of tokens: `row * width + column`."""
        return self.bucket.shape.index(
            [at * self.width + column for at in self.order for column in range(self.new[at].count)]
        )

    def wanted_tokens(self) -> Int[Tensor, " wanted"]:
        """The last of each wanted row's text and its nodes, as numbers of tokens: `row * width + column`."""
        return self.bucket.shape.index(
            [
                at * self.width + column
                for at in self.wanted
                for column in range(len(self.new[at].tokens) - 1, self.new[at].count)
            ]
        )
