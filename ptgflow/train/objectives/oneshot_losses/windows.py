"""What a batch of windows says, as every decoder is trained and read from it."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowBatch:
    """Windows, and what they are to say."""

    logits: Float[Tensor, "batch places vocab"]
    """Of the token in each place; those of the first are the target's own."""
    states: Float[Tensor, "batch places hidden"]
    """What predicts each place."""
    tokens: Int[Tensor, "batch places"]
    """The answer, and end tokens behind it."""
    lengths: Int[Tensor, " batch"]
    """Tokens of each answer without its end; at least one."""
    told: Bool[Tensor, " batch"]
    """Which windows were told the length."""

    @property
    def counts(self) -> Int[Tensor, " batch"]:
        """Places of each window."""
        return torch.full_like(self.lengths, self.tokens.shape[1])

    @property
    def open_counts(self) -> Int[Tensor, " batch"]:
        """Places that a window was not told the tokens of."""
        return torch.where(self.told, self.lengths, self.counts)

    @property
    def learnt(self) -> Bool[Tensor, "batch places"]:
        """These places, without the first, which the target fills by itself."""
        place = torch.arange(self.tokens.shape[1], device=self.tokens.device)
        return (place > 0) & (place < self.open_counts[:, None])
