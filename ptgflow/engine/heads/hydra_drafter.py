"""Hydra heads at work: what a head says depends on the nodes above, so a tree costs one call for each of its levels."""

from collections import defaultdict
from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.growth import Candidates, Wanted
from ptgflow.engine.growth.tree_drafter import NOTHING
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.state_drafter import StateDrafter
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import Ask

_Place = tuple[int, int]
"""A place in a list of what is wanted, and one in its nodes."""


@final
class HydraDrafter(StateDrafter):
    """Head i reads the last state, the token that the target has just written, and the i nodes down to the one."""

    def _lay_out(self, heads: Heads, model: LoadedModel) -> None:
        config = heads.config
        self._embed = model.embed
        # Both products of the first block read the same, so they are one.
        self._first = [
            self._linear(f"hydra_mlp.{head}.0.linear", f"hydra_mlp.{head}.0.res_connection")
            for head in range(config.heads)
        ]
        self._blocks = [
            [self._linear(f"hydra_mlp.{head}.{at}.linear") for at in range(1, config.layers)]
            for head in range(config.heads)
        ]

    def expand(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> list[list[Candidates]]:
        found = [[NOTHING] * len(one.nodes) for _, one in wanted]
        levels: dict[int, list[_Place]] = defaultdict(list)
        paths: dict[_Place, tuple[int, ...]] = {}
        for number, (at, one) in enumerate(wanted):
            for place, node in enumerate(one.nodes):
                tokens = (asks[at].context[-1], *(one.tree.tokens[above] for above in one.tree.path(node)))
                if len(tokens) <= self._heads:
                    levels[len(tokens) - 1].append((number, place))
                    paths[number, place] = tokens
        if not levels:
            return found
        with torch.inference_mode():
            ahead = [
                (
                    head,
                    self._ahead(
                        head,
                        self._states([asks[wanted[number][0]].row for number, _ in places]),
                        [paths[place] for place in places],
                    ),
                )
                for head, places in levels.items()
            ]
            candidates = iter(self._projected(ahead))
        for places in levels.values():
            for number, place in places:
                found[number][place] = next(candidates)
        return found

    def _ahead(
        self, head: int, states: Float[Tensor, "nodes hidden"], paths: Sequence[Sequence[int]]
    ) -> Float[Tensor, "nodes hidden"]:
        """What one head makes of states and of the head + 1 tokens after each."""
        tokens = torch.tensor(paths, device=states.device)
        z = torch.cat((states, self._embed(tokens).float().flatten(1)), dim=1)
        inner, x = self._first[head](z).chunk(2, dim=1)
        x = x + F.silu(inner)
        for block in self._blocks[head]:
            x = x + F.silu(block(x))
        return x
