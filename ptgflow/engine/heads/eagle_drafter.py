"""A head with a decoder layer at work: a small decoder with slots of its own, that follows the target row by row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.growth import Candidates, TreeBuilder, Wanted
from ptgflow.engine.growth.computed import ComputedNodes
from ptgflow.engine.growth.tree_drafter import TreeDrafter, candidates_of
from ptgflow.engine.heads.head_network import HeadNetwork
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.attention import FULL
from ptgflow.engine.passes.written.forward import attending_of
from ptgflow.engine.passes.written.network import paired
from ptgflow.engine.request import Ask
from ptgflow.engine.slots import RowInput, SlotCache


@dataclass(slots=True)
class _Row:
    """What the head knows of one row."""

    slot: int
    states: list[Tensor] = field(default_factory=list[Tensor])
    """What is kept of the target's states, at every position that the target has read."""
    tokens: tuple[int, ...] = ()
    """What is read in this round."""
    computed: ComputedNodes = field(default_factory=ComputedNodes)
    outputs: list[Tensor] = field(default_factory=list[Tensor])
    """In this round: the head's output at the text's end, then at each node that was computed."""


@final
class EagleDrafter(TreeDrafter):
    """At slot p it keeps what it read at position p: the target's states there, and the token at p + 1."""

    def __init__(
        self, heads: Heads, model: LoadedModel, builder: TreeBuilder, *, size: int, least: float = 0.0
    ) -> None:
        """Lay out the weights for the device.

        Args:
            heads: of the kind `eagle`, in any layout.
            model: the target, whose embedding the head reads.
            builder: the shape of the trees.
            size: most nodes of a tree.
            least: candidates of a smaller chance are not drafted.
        """
        super().__init__(builder, size=size, least=least)
        self.taps: tuple[int, ...] = heads.config.taps
        self._vocabulary = heads.vocabulary.to(model.device)
        self._head = HeadNetwork(heads, model)
        self._network = self._head.network
        self._cache = SlotCache(self._network.model.shape)
        self._rows: dict[int, _Row] = {}

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Keep what the target saw."""
        known = self._rows.get(row)
        if known is None:
            known = self._rows[row] = _Row(self._cache.admit())
        with torch.inference_mode():
            known.states += self._head.kept(states).unbind() if tokens else ()

    def fork(self, row: int, source: int, length: int) -> None:
        """Copy what both rows share. The last position is read anew: its next token is another one."""
        known = self._rows.get(source)
        assert known is not None, "a row that has been read is known"
        shared = min(self._cache.length(known.slot), length - 1)
        self._rows[row] = _Row(self._cache.fork(known.slot, shared), known.states[:length])

    def forget(self, row: int) -> None:
        """Give the row's slots back."""
        known = self._rows.pop(row, None)
        if known is not None:
            self._cache.free(known.slot)

    def ready(self, asks: Sequence[Ask]) -> list[bool]:
        """Read what the target has read since the last round."""
        able = [ask for ask in asks if ask.row in self._rows]
        if able:
            inputs: list[RowInput] = []
            states: list[Tensor] = []
            for ask in able:
                row = self._rows[ask.row]
                begin, end = self._cache.length(row.slot), len(ask.context) - 1
                assert len(row.states) == end, "the target has read all but the last token"
                row.tokens, row.computed = tuple(ask.context[begin + 1 :]), ComputedNodes()
                inputs.append(RowInput(row=row.slot, tokens=row.tokens))
                states += row.states[begin:end]
            outputs = self._run(inputs, torch.stack(states))
            at = 0
            for ask, given in zip(able, inputs, strict=True):
                at += len(given.tokens)
                self._rows[ask.row].outputs = [outputs[at - 1]]
        return [ask.row in self._rows for ask in asks]

    def expand(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> list[list[Candidates]]:
        self._compute(asks, wanted)
        lines: list[Tensor] = []
        for at, one in wanted:
            row = self._rows[asks[at].row]
            lines += (row.outputs[row.computed.places[node] + 1] for node in one.nodes)
        with torch.inference_mode():
            found = iter(candidates_of(self._head.logits(torch.stack(lines)), self._vocabulary, self._builder.width))
        return [[next(found) for _ in one.nodes] for _, one in wanted]

    def _compute(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> None:
        """The outputs at nodes that are wanted for the first time."""
        inputs: list[RowInput] = []
        states: list[Tensor] = []
        for at, one in wanted:
            row = self._rows[asks[at].row]
            again = len(row.tokens) + len(row.computed)
            above = row.computed.add(one.tree, one.nodes)
            if above:
                inputs.append(RowInput(row=row.slot, tokens=row.tokens, tree=row.computed.tree, again=again))
                states += (row.outputs[parent + 1] for parent in above)
        if inputs:
            outputs = iter(self._run(inputs, torch.stack(states)).unbind())
            for at, _ in wanted:
                row = self._rows[asks[at].row]
                row.outputs += (next(outputs) for _ in range(1 + len(row.computed) - len(row.outputs)))

    def settled(self, asks: Sequence[Ask]) -> None:
        """Keep what was read, but for the last position, which a round that has to be tried again reads once more."""
        rows = [self._rows[ask.row] for ask in asks]
        self._cache.commit({row.slot: range(len(row.tokens) - 1) for row in rows})

    def _run(
        self, inputs: Sequence[RowInput], states: Float[Tensor, "tokens hidden"]
    ) -> Float[Tensor, "tokens hidden"]:
        """What the layer leaves, in the order of the inputs."""
        network, layer = self._network, self._network.model.layers[0]
        place = self._cache.begin(inputs)
        ids = [token for one in inputs for token in (*one.tokens, *one.tree.tokens)[one.again :]]
        # The pass has its tokens group by group, the caller row by row.
        into = self._cache.shape.index([at for start, count in place.spans for at in range(start, start + count)])
        with torch.inference_mode():
            normed, residual = self._head.enter(self._cache.shape.index(ids), states)
            lined = paired(torch.empty_like(normed).index_copy_(0, into, normed))
            attendings = [attending_of(network, group) for group in place.groups]
            rotation = network.rotations(place.positions)[FULL]
            x = residual + network.attend(0, layer, lined, rotation, attendings)[into]
            return self._head.leave(x + network.mlp(layer, x))
