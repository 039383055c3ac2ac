"""A pass over texts with places of a canvas behind them: adapters are on for the places, and off for the text."""

import dataclasses
from collections.abc import Sequence
from typing import Final, final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.heads.gated_model import Gate, adapted_model
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.precision import linear_maker
from ptgflow.engine.passes.written.forward import attending_of
from ptgflow.engine.passes.written.network import Network
from ptgflow.engine.slots import RowInput, SlotCache


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What a pass says after the last token of each text and after each node behind it."""

    logits: Float[Tensor, "wanted vocab"]
    states: Float[Tensor, "wanted features"]
    """What is wanted of the states there, side by side; by default what the last norm leaves."""


@final
class GatedPass:
    """The tokens of an input are text; the nodes of its tree are places of a canvas where they see each other."""

    def __init__(self, heads: Heads, model: LoadedModel) -> None:
        """Lay adapters beside the model's weights, which are shared.

        Args:
            heads: of kind `masked` or `oneshot`.
            model: what they were trained for.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out.
        """
        assert heads.config.kind in ("masked", "oneshot"), "other heads have no mask token"
        self._gate = Gate()
        make = linear_maker("float32" if model.dtype == "int8" else model.dtype, model.device)
        made = adapted_model(heads, model, make, self._gate)
        self._network = Network(dataclasses.replace(made, mask=heads.tensors["masks"][0].to(model.device)))
        self.hole: Final = model.vocab_size
        """The id of a hole, which is no token's."""

    def new_cache(self, budget: int | None = None) -> SlotCache:
        """Slots for texts, in at most `budget` bytes."""
        return SlotCache(self._network.model.shape, budget=budget)

    def __call__(self, cache: SlotCache, inputs: Sequence[RowInput]) -> Float[Tensor, "wanted vocab"]:
        """Logits after the last token of each text and after each node behind it.

        Raises:
            SlotsFullError: there is no memory for the new tokens; nothing was changed.
        """
        return self._read(cache, inputs).logits

    def seen(self, cache: SlotCache, inputs: Sequence[RowInput], taps: Sequence[int] | None = None) -> Seen:
        """The same, with states side by side.

        Args:
            cache: of the texts.
            inputs: what is read.
            taps: which states, as `ModelPass.tapped` counts them; None: those that are behind the logits.

        Raises:
            SlotsFullError: there is no memory for the new tokens; nothing was changed.
        """
        return self._read(cache, inputs, (len(self._network.model.layers),) if taps is None else taps)

    def _read(self, cache: SlotCache, inputs: Sequence[RowInput], taps: Sequence[int] = ()) -> Seen:
        place = cache.begin(inputs)
        flags = [
            flag
            for group in place.groups
            for row in group.rows
            for flag in (*([False] * len(row.tokens)), *([row.mutual] * len(row.tree)))
        ]
        with torch.inference_mode():
            self._gate.places = torch.tensor(flags, device=place.tokens.device).nonzero()[:, 0]
            attendings = [attending_of(self._network, group) for group in place.groups]
            hidden, states = self._network.decode(place.tokens, place.positions, attendings, taps)
            logits = self._network.logits(hidden[place.wanted])
            return Seen(logits=logits, states=states[place.wanted].float())
