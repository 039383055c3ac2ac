"""Medusa heads at work."""

from typing import final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.heads.at_once_drafter import AtOnceDrafter
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel


@final
class MedusaDrafter(AtOnceDrafter):
    """Residual blocks of its own for each position ahead."""

    def _lay_out(self, heads: Heads, model: LoadedModel) -> None:
        config = heads.config
        self._blocks = [
            [self._linear(f"{head}.{at}.linear") for at in range(config.layers)] for head in range(config.heads)
        ]

    def _ahead(self, states: Float[Tensor, "rows hidden"]) -> list[Float[Tensor, "rows hidden"]]:
        ahead: list[Tensor] = []
        for blocks in self._blocks:
            x = states
            for block in blocks:
                x = x + F.silu(block(x))
            ahead.append(x)
        return ahead
