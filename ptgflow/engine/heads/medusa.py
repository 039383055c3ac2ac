"""Medusa heads: each foresees one position further from the same hidden state (Cai et al., arXiv 2401.10774)."""

from typing import final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ptgflow.engine.heads.config import HeadConfig


@final
class ResBlock(nn.Module):
    """x + SiLU(W x + b), the identity before training (section 2.1.1)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, size)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Float[Tensor, "*tokens hidden"]) -> Float[Tensor, "*tokens hidden"]:
        """Transform hidden states."""
        return x + F.silu(self.linear(x))


@final
class MedusaNet(nn.ModuleList):
    """The heads, with the public names of their tensors: `{head}.{block}.linear.weight`, `{head}.{layers}.weight`.

    Head i, from the hidden state at position t, foresees the token at t + 2 + i; the target's own head that at t + 1.
    """

    def __init__(self, config: HeadConfig) -> None:
        """Make untrained heads: they foresee what the target's own head does."""
        size = config.base.hidden_size
        super().__init__(
            nn.Sequential(
                *(ResBlock(size) for _ in range(config.layers)),
                *([nn.Linear(size, config.draft_vocab_size, bias=False)] if config.own_output else []),
            )
            for _ in range(config.heads)
        )
        self.config = config
