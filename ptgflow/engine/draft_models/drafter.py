"""A causal model that drafts for another one with the same tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.growth.builder import Candidates, TreeBuilder, Wanted
from ptgflow.engine.growth.computed import ComputedNodes
from ptgflow.engine.growth.tree_drafter import TreeDrafter, candidates_of
from ptgflow.engine.passes.interface import ModelPass
from ptgflow.engine.request import Ask
from ptgflow.engine.slots import RowInput

_CHUNK = 512
"""Tokens of a text that are read in one pass."""


@dataclass(slots=True)
class _Row:
    """What the draft model has read of one row."""

    slot: int
    read: list[int] = field(default_factory=list[int])
    tokens: tuple[int, ...] = ()
    """What is read in this round."""
    computed: ComputedNodes = field(default_factory=ComputedNodes)
    found: list[Candidates] = field(default_factory=list[Candidates])
    """In this round: after the text, then after each node that was computed."""


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
        self._rows: dict[int, _Row] = {}

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Nothing to do: the text comes with each question."""

    def fork(self, row: int, source: int, length: int) -> None:
        """Copy what the draft model has read of the shared beginning."""
        known = self._rows.get(source)
        if known is not None:
            shared = min(length, len(known.read))
            self._rows[row] = _Row(self._run.cache.fork(known.slot, shared), known.read[:shared])

    def forget(self, row: int) -> None:
        """Give the row's slots back."""
        known = self._rows.pop(row, None)
        if known is not None:
            self._run.cache.free(known.slot)

    def ready(self, asks: Sequence[Ask]) -> list[bool]:
        """Read what is new of each text."""
        cache = self._run.cache
        for ask in asks:
            if ask.row not in self._rows:
                self._rows[ask.row] = _Row(cache.admit())
            row = self._rows[ask.row]
            common = _common(row.read, ask.context[:-1])
            cache.rollback(row.slot, common)
            del row.read[common:]
            while len(ask.context) - len(row.read) > _CHUNK:
                self._take(row, ask.context[len(row.read) :][:_CHUNK])
        inputs: list[RowInput] = []
        for ask in asks:
            row = self._rows[ask.row]
            row.tokens, row.computed = tuple(ask.context[len(row.read) :]), ComputedNodes()
            inputs.append(RowInput(row=row.slot, tokens=row.tokens))
        for ask, found in zip(asks, self._candidates(self._run(inputs)), strict=True):
            self._rows[ask.row].found = [found]
        return [True for _ in asks]

    def _take(self, row: _Row, tokens: Sequence[int]) -> None:
        self._run([RowInput(row=row.slot, tokens=tuple(tokens), wanted=False)])
        self._run.cache.commit({row.slot: range(len(tokens))})
        row.read += tokens

    def expand(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> list[list[Candidates]]:
        inputs: list[RowInput] = []
        for at, one in wanted:
            row = self._rows[asks[at].row]
            again = len(row.tokens) + len(row.computed)
            if row.computed.add(one.tree, one.nodes):
                inputs.append(RowInput(row=row.slot, tokens=row.tokens, tree=row.computed.tree, again=again))
        if inputs:
            found = iter(self._candidates(self._run(inputs)))
            for at, _ in wanted:
                row = self._rows[asks[at].row]
                row.found += (next(found) for _ in range(1 + len(row.computed) - len(row.found)))
        rows = [self._rows[asks[at].row] for at, _ in wanted]
        return [
            [row.found[row.computed.places[node] + 1] for node in one.nodes]
            for row, (_, one) in zip(rows, wanted, strict=True)
        ]

    def settled(self, asks: Sequence[Ask]) -> None:
        """Keep what was read, but for the last token: a round that has to be tried again wants its candidates anew."""
        rows = [self._rows[ask.row] for ask in asks]
        self._run.cache.commit({row.slot: range(len(row.tokens) - 1) for row in rows})
        for row in rows:
            row.read += row.tokens[:-1]

    def _candidates(self, logits: Float[Tensor, "lines vocab"]) -> list[Candidates]:
        ids = torch.arange(self._vocabulary, device=logits.device)
        return candidates_of(logits[:, : self._vocabulary], ids, self.width)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
