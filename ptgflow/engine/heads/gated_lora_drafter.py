"""Gated LoRA at work: behind each row's text a pass over its masks alone, and then a sampler for each node.

The paper's masks ride in the pass that verifies, behind every node, and those behind the last node that is kept are of
use (quadratic decoding, section 3). They see that node's path and nothing else that is new, so a pass over the masks of
each row once its text is settled gives the same. It costs one pass more a round, over few tokens, and a pass that
verifies is not wider by the masks of nodes that are thrown out.
"""

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.growth import Candidates, Wanted
from ptgflow.engine.growth.tree_drafter import NOTHING
from ptgflow.engine.heads.gated_model import gated_model
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.state_drafter import StateDrafter
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.written.forward import WrittenPass
from ptgflow.engine.request import Ask
from ptgflow.engine.slots import RowInput, SlotCache


@final
class GatedLoraDrafter(StateDrafter):
    """Masks attend to the keys and values that the target keeps, and leave theirs in scratch behind them."""

    def _lay_out(self, heads: Heads, model: LoadedModel) -> None:
        self._model = gated_model(heads, model, self._make)
        self._embed = model.embed
        self._tap = model.layers
        # A tree of so many nodes has no more levels.
        self._masks = tuple(range(min(self._heads, self._size)))
        self._blocks = [
            (
                self._linear(f"sampler.{block}.linear"),
                self._tensors[f"sampler.{block}.norm.weight"],
                self._tensors[f"sampler.{block}.norm.bias"],
            )
            for block in range(2)
        ]
        self._run: WrittenPass | None = None
        self._ahead: dict[int, Float[Tensor, "masks hidden"]] = {}
        """Row -> in this round the states of its masks."""

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Nothing to do: what the target has read is in its slots."""

    def forget(self, row: int) -> None:
        """Drop the row's states."""
        self._ahead.pop(row, None)

    def ready(self, asks: Sequence[Ask]) -> list[bool]:
        """Fill the masks of all rows in one pass."""
        places = {ask.row: ask.place for ask in asks if ask.place is not None}
        self._ahead = {}
        for cache in {id(place.cache): place.cache for place in places.values()}.values():
            rows = [row for row, place in places.items() if place.cache is cache]
            inputs = [RowInput(row=places[row].row, tokens=self._masks, wanted=False) for row in rows]
            states = self._pass(cache).tapped(inputs, (self._tap,)).states.float()
            self._ahead |= zip(rows, states.view(len(rows), len(self._masks), -1).unbind(), strict=True)
        return [ask.row in self._ahead for ask in asks]

    def _pass(self, cache: SlotCache) -> WrittenPass:
        if self._run is None or self._run.cache is not cache:
            self._run = WrittenPass(self._model, budget=None, cache=cache)
        return self._run

    def expand(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> list[list[Candidates]]:
        found = [[NOTHING] * len(one.nodes) for _, one in wanted]
        places: list[tuple[int, int]] = []
        before: list[int] = []
        states: list[Tensor] = []
        for number, (at, one) in enumerate(wanted):
            ahead, depths = self._ahead[asks[at].row], one.tree.depths
            for place, node in enumerate(one.nodes):
                level = depths[node] + 1 if node >= 0 else 0
                if level < len(ahead):
                    places.append((number, place))
                    before.append(one.tree.tokens[node] if node >= 0 else asks[at].context[-1])
                    states.append(ahead[level])
        if places:
            with torch.inference_mode():
                candidates = self._projected([(0, self._sampled(before, torch.stack(states)))])
            for (number, place), likely in zip(places, candidates, strict=True):
                found[number][place] = likely
        return found

    def _sampled(self, before: Sequence[int], states: Float[Tensor, "nodes hidden"]) -> Float[Tensor, "nodes hidden"]:
        """What the output matrix reads, of states and the tokens before."""
        embedded = self._embed(torch.tensor(before, device=states.device)).float()
        x = torch.cat((embedded, states), dim=1)
        for linear, weight, bias in self._blocks:
            x = F.layer_norm(F.silu(linear(x)), weight.shape, weight, bias)
        return x
