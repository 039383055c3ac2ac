"""The pass of a written-out model over rows of any lengths: nothing is computed for padding but attention."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.passes.interface import Tapped
from ptgflow.engine.passes.written.network import Attending, Network
from ptgflow.engine.passes.written.weights import WrittenModel
from ptgflow.engine.slots import Group, RowInput, SlotCache


@final
class WrittenPass:
    """Runs a written-out model over the slots of a cache."""

    def __init__(self, model: WrittenModel, *, budget: int | None, cache: SlotCache | None = None) -> None:
        """Prepare.

        Args:
            model: what is run.
            budget: most bytes of keys and values; None: no bound.
            cache: to be used in place of one of its own.
        """
        self._network = Network(model)
        self._cache = SlotCache(model.shape, budget=budget) if cache is None else cache

    @property
    def cache(self) -> SlotCache:
        return self._cache

    def __call__(self, inputs: Sequence[RowInput]) -> Float[Tensor, "wanted vocab"]:
        return self.tapped(inputs, ()).logits

    def tapped(self, inputs: Sequence[RowInput], taps: Sequence[int]) -> Tapped:
        place = self._cache.begin(inputs)
        with torch.inference_mode():
            attendings = [attending_of(self._network, group) for group in place.groups]
            hidden, states = self._network.decode(place.tokens, place.positions, attendings, taps)
            return Tapped(logits=self._network.logits(hidden[place.wanted]), states=place.listed(states))


def attending_of(network: Network, group: Group) -> Attending:
    """A group of rows of any lengths."""
    columns = max(group.width, network.fewest_columns)
    extra = columns - group.width
    visible = network.model.pattern.visible(group)
    padded = None if group.even else group.columns
    if extra:
        visible = {kind: torch.cat([seen[:, :1].expand(-1, extra, -1), seen], dim=1) for kind, seen in visible.items()}
        # The tokens stand at the right end of each row.
        padded = group.columns + (group.columns // group.width + 1) * extra
    return Attending(
        bucket=group.bucket,
        first=group.first,
        last=group.last,
        begin=group.begin,
        end=group.end,
        slots=group.slots,
        columns=columns,
        padded=padded,
        masks=network.masks(visible),
    )
