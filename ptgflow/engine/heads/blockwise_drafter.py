"""Blockwise heads at work."""

from typing import final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.heads.at_once_drafter import AtOnceDrafter
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel


@final
class BlockwiseDrafter(AtOnceDrafter):
    """One feed-forward layer for all positions ahead."""

    def _lay_out(self, heads: Heads, model: LoadedModel) -> None:
        self._inner, self._outer = self._linear("inner"), self._linear("outer")

    def _ahead(self, states: Float[Tensor, "rows hidden"]) -> list[Float[Tensor, "rows hidden"]]:
        made = self._outer(F.relu(self._inner(states)))
        return [states + one for one in made.chunk(self._heads, dim=-1)]
