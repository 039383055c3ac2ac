"""What drafters have in common whose heads read the target's last state: they keep it, and project what comes of it."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.growth import Candidates, TreeBuilder
from ptgflow.engine.growth.tree_drafter import TreeDrafter, candidates_of
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.shapes import output_names
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.linear import Linear
from ptgflow.engine.passes.precision import linear_maker
from ptgflow.engine.request import Ask


class StateDrafter(TreeDrafter):
    """Head i says what stands i + 1 places behind the token that the target has just written."""

    def __init__(
        self, heads: Heads, model: LoadedModel, builder: TreeBuilder, *, size: int, least: float = 0.0
    ) -> None:
        """Lay out the weights for the device.

        Args:
            heads: of the drafter's kind.
            model: the target, whose output matrix serves where the heads have none.
            builder: the shape of the trees.
            size: most nodes of a tree.
            least: candidates of a smaller chance are not drafted.
        """
        super().__init__(builder, size=size, least=least)
        config = heads.config
        self.taps: tuple[int, ...] = config.taps
        self._heads = config.heads
        self._make = linear_maker("float32" if model.dtype == "int8" else model.dtype, model.device)
        self._tensors = {name: one.to(model.device) for name, one in heads.tensors.items()}
        self._vocabulary = heads.vocabulary.to(model.device)
        self._outputs = (
            [self._linear(name) for name in output_names(config)]
            if config.own_output
            else [self._make(model.output_rows(self._vocabulary), None)]
        )
        self._last: dict[int, Float[Tensor, " hidden"]] = {}
        """Row -> the target's state at the last token that it has read."""
        self._lay_out(heads, model)
        # The products hold what they need.
        self._tensors.clear()

    @abstractmethod
    def _lay_out(self, heads: Heads, model: LoadedModel) -> None:
        """Make the products of a kind of heads."""

    def _linear(self, *names: str) -> Linear:
        """One product with the weights of these names below each other, and their biases where they have any."""
        weights = [self._tensors[f"{name}.weight"] for name in names]
        biases = [self._tensors[f"{name}.bias"] for name in names if f"{name}.bias" in self._tensors]
        return self._make(torch.cat(weights), torch.cat(biases) if biases else None)

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
        return [ask.row in self._last for ask in asks]

    def _states(self, rows: Sequence[int]) -> Float[Tensor, "rows hidden"]:
        return torch.stack([self._last[row] for row in rows])

    def _projected(self, ahead: Sequence[tuple[int, Float[Tensor, "_ hidden"]]]) -> list[Candidates]:
        """The candidates of each line, from what heads, by their numbers, make of the states they read."""
        if len(self._outputs) == 1:
            logits = self._outputs[0](torch.cat([x for _, x in ahead]))
        else:
            logits = torch.cat([self._outputs[head](x) for head, x in ahead])
        return candidates_of(logits, self._vocabulary, self._builder.width)
