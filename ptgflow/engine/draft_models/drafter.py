"""A causal model that drafts for another one with the same tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.draft_models.readings import Readings
from ptgflow.engine.growth.builder import Candidates, TreeBuilder, Wanted
from ptgflow.engine.growth.computed import ComputedNodes
from ptgflow.engine.growth.tree_drafter import TreeDrafter, candidates_of
from ptgflow.engine.passes.interface import ModelPass
from ptgflow.engine.request import Ask
from ptgflow.engine.slots import RowInput


@dataclass(slots=True)
class _Round:
    """What the draft model computes for one row in this round."""

    tokens: tuple[int, ...]
    """What it reads."""
    computed: ComputedNodes = field(default_factory=ComputedNodes)
    found: list[Candidates] = field(default_factory=list[Candidates])
    """After the text, then after each node that was computed."""


@final
class ModelDrafter(TreeDrafter):
    """Leviathan et al., arXiv 2211.17192; Chen et al., arXiv 2302.01318: the draft model reads what the target writes.

    It has slots of its own and is no slower for many rows: each step is one pass over all of them.
    """

    taps: tuple[int, ...] = ()

    def __init__(self, run: ModelPass, builder: TreeBuilder, *, size: int, vocabulary: int, least: float = 0.0) -> None:
        """Make a drafter.

        Args:
            run: the draft model, with a cache of its own.
            builder: the shape of the trees.
            size: most nodes of a tree.
            vocabulary: how many of the draft model's first tokens the target has, too.
            least: candidates of a smaller chance are not drafted.
        """
        super().__init__(builder, size=size, least=least)
        self._run = run
        self._vocabulary = vocabulary
        self._rows = Readings(run)
        self._rounds: dict[int, _Round] = {}

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Nothing to do: the text comes with each question."""

    def fork(self, row: int, source: int, length: int) -> None:
        """Copy what the draft model has read of the shared beginning."""
        self._rows.fork(row, source, length)

    def forget(self, row: int) -> None:
        """Give the row's slots back."""
        self._rows.forget(row)
        self._rounds.pop(row, None)

    def ready(self, asks: Sequence[Ask]) -> list[bool]:
        """Read what is new of each text."""
        for ask in asks:
            self._rounds[ask.row] = _Round(self._rows.catch_up(ask.row, ask.context))
        inputs = [RowInput(row=self._rows[ask.row].slot, tokens=self._rounds[ask.row].tokens) for ask in asks]
        for ask, found in zip(asks, self._candidates(self._run(inputs)), strict=True):
            self._rounds[ask.row].found = [found]
        return [True for _ in asks]

    def expand(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> list[list[Candidates]]:
        rounds = [self._rounds[asks[at].row] for at, _ in wanted]
        inputs: list[RowInput] = []
        for own, (at, one) in zip(rounds, wanted, strict=True):
            again = len(own.tokens) + len(own.computed)
            if own.computed.add(one.tree, one.nodes):
                slot = self._rows[asks[at].row].slot
                inputs.append(RowInput(row=slot, tokens=own.tokens, tree=own.computed.tree, again=again))
        if inputs:
            found = iter(self._candidates(self._run(inputs)))
            for own in rounds:
                own.found += (next(found) for _ in range(1 + len(own.computed) - len(own.found)))
        return [
            [own.found[own.computed.places[node] + 1] for node in one.nodes]
            for own, (_, one) in zip(rounds, wanted, strict=True)
        ]

    def settled(self, asks: Sequence[Ask]) -> None:
        """Keep what was read, but for the last token: a round that has to be tried again wants its candidates anew."""
        self._rows.keep({ask.row: self._rounds[ask.row].tokens[:-1] for ask in asks})

    def _candidates(self, logits: Float[Tensor, "lines vocab"]) -> list[Candidates]:
        ids = torch.arange(self._vocabulary, device=logits.device)
        return candidates_of(logits[:, : self._vocabulary], ids, self.width)
