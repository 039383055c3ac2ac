"""Heads that look at the target's state alone: all positions ahead in one call, whatever the shape of the tree."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.growth import Candidates, TreeBuilder, Wanted
from ptgflow.engine.growth.tree_drafter import by_level
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.state_drafter import StateDrafter
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import Ask


class AtOnceDrafter(StateDrafter):
    """What a head says does not depend on the nodes above: it is the same for all nodes of a level."""

    def __init__(
        self, heads: Heads, model: LoadedModel, builder: TreeBuilder, *, size: int, least: float = 0.0
    ) -> None:
        """Lay out the weights for the device; the arguments are those of `StateDrafter`."""
        super().__init__(heads, model, builder, size=size, least=least)
        self._found: dict[int, list[Candidates]] = {}
        """Row -> for each head what it says in this round."""

    @abstractmethod
    def _ahead(self, states: Float[Tensor, "rows hidden"]) -> list[Float[Tensor, "rows hidden"]]:
        """What each head makes of the last states."""

    def ready(self, asks: Sequence[Ask]) -> list[bool]:
        able = [ask.row for ask in asks if ask.row in self._last]
        self._found = dict(zip(able, self._candidates(able), strict=True)) if able else {}
        return super().ready(asks)

    def expand(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> list[list[Candidates]]:
        return by_level(self._found, asks, wanted)

    @torch.inference_mode()
    def _candidates(self, rows: Sequence[int]) -> list[list[Candidates]]:
        """For each row what each head says."""
        found = self._projected(list(enumerate(self._ahead(self._states(rows)))))
        return [[found[head * len(rows) + at] for head in range(self._heads)] for at in range(len(rows))]
