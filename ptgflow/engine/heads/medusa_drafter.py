"""Medusa heads at work: all positions ahead from one hidden state, so a tree of any shape costs a single call."""

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.growth import Candidates, TreeBuilder, Wanted
from ptgflow.engine.growth.tree_drafter import TreeDrafter, candidates_of
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.precision import linear_maker
from ptgflow.engine.request import Ask


@final
class MedusaDrafter(TreeDrafter):
    """Head i says what stands i + 1 places behind the token that the target has just written."""

    def __init__(
        self, heads: Heads, model: LoadedModel, builder: TreeBuilder, *, size: int, least: float = 0.0
    ) -> None:
        """Lay out the weights for the device.

        Args:
            heads: of the kind `medusa`.
            model: the target, whose output matrix serves where the heads have none.
            builder: the shape of the trees.
            size: most nodes of a tree.
            least: candidates of a smaller chance are not drafted.
        """
        super().__init__(builder, size=size, least=least)
        self.taps: tuple[int, ...] = heads.config.taps
        self._heads, self._layers = heads.config.heads, heads.config.layers
        make = linear_maker("float32" if model.dtype == "int8" else model.dtype, model.device)
        tensors = {name: one.to(model.device) for name, one in heads.tensors.items()}
        self._vocabulary = heads.vocabulary.to(model.device)
        self._blocks = [
            [
                make(tensors[f"{head}.{at}.linear.weight"], tensors[f"{head}.{at}.linear.bias"])
                for at in range(self._layers)
            ]
            for head in range(self._heads)
        ]
        outputs = (
            [tensors[f"{head}.{self._layers}.weight"] for head in range(self._heads)]
            if heads.config.own_output
            else [model.output_rows(self._vocabulary)]
        )
        self._outputs = [make(one, None) for one in outputs]
        self._last: dict[int, Float[Tensor, " hidden"]] = {}
        """Row -> the target's state at the last token that it has read."""
        self._found: dict[int, list[Candidates]] = {}
        """Row -> for each head what it says in this round."""

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens hidden"]) -> None:
        """Keep the last state."""
        if tokens:
            self._last[row] = states[-1].float()

    def fork(self, row: int, source: int, length: int) -> None:
        """Nothing to do: before it drafts the new row reads a token of its own."""

    def forget(self, row: int) -> None:
        """Drop the row's state."""
        self._last.pop(row, None)

    def ready(self, asks: Sequence[Ask]) -> list[bool]:
        able = [ask.row for ask in asks if ask.row in self._last]
        self._found = dict(zip(able, self._candidates(able), strict=True)) if able else {}
        return [ask.row in self._last for ask in asks]

    def expand(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> list[list[Candidates]]:
        nothing = Candidates((), ())
        found: list[list[Candidates]] = []
        for at, one in wanted:
            heads, depths = self._found[asks[at].row], one.tree.depths
            levels = [depths[node] + 1 if node >= 0 else 0 for node in one.nodes]
            found.append([heads[level] if level < len(heads) else nothing for level in levels])
        return found

    @torch.inference_mode()
    def _candidates(self, rows: Sequence[int]) -> list[list[Candidates]]:
        """For each row what each head says."""
        states = torch.stack([self._last[row] for row in rows])
        ahead: list[Tensor] = []
        for blocks in self._blocks:
            x = states
            for block in blocks:
                x = x + F.silu(block(x))
            ahead.append(x)
        if len(self._outputs) == 1:
            logits = self._outputs[0](torch.cat(ahead))
        else:
            logits = torch.cat([output(x) for output, x in zip(self._outputs, ahead, strict=True)])
        found = candidates_of(logits, self._vocabulary, self._builder.width)
        return [[found[head * len(rows) + at] for head in range(self._heads)] for at in range(len(rows))]
