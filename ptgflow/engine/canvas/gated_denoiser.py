"""An adapted autoregressive model over canvases: its own keys and values for the text, adapters for the block in work.

Everything before the first place in work is text to the model itself: read causally, without adapters, its keys and
values kept (so they are exact, whatever is done later). The places of the block behind it see that text and each other,
and leave nothing. Logits are shifted, so the first place in work is predicted by the last token of the text: it is what
the autoregressive model predicts, and where it alone is filled, what is written is what that model writes.
"""

import dataclasses
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.rules import CanvasAsk
from ptgflow.engine.heads.gated_model import Gate, adapted_model
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.precision import linear_maker
from ptgflow.engine.passes.written.forward import attending_of
from ptgflow.engine.passes.written.network import Network, paired
from ptgflow.engine.prefixes import shared_length
from ptgflow.engine.slots import RowInput, SlotCache
from ptgflow.engine.trees import TokenTree


@dataclasses.dataclass(slots=True)
class _Row:
    prompt: tuple[int, ...]
    read: list[int]
    """The text whose keys and values are kept."""


@final
class GatedDenoiser:
    """A `Denoiser` with slots of its own for the text of each row."""

    def __init__(self, heads: Heads, model: LoadedModel, *, budget: int | None = None) -> None:
        """Lay adapters beside the model's weights, which are shared.

        Args:
            heads: of kind `masked`.
            model: what they were trained for.
            budget: most bytes of keys and values; None: no bound.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out.
        """
        assert heads.config.kind == "masked", "other heads have no mask token"
        self._gate = Gate()
        make = linear_maker("float32" if model.dtype == "int8" else model.dtype, model.device)
        made = adapted_model(heads, model, make, self._gate)
        self._network = Network(dataclasses.replace(made, mask=heads.tensors["masks"][0].to(model.device)))
        self._hole = model.vocab_size
        self._cache = SlotCache(made.shape, budget=budget)
        self._rows: dict[int, _Row] = {}

    def admit(self, prompt: tuple[int, ...], size: int) -> int:
        """A row for a canvas behind a prompt of at least one token."""
        del size
        assert prompt, "the first place is predicted by the token before it"
        row = self._cache.admit()
        self._rows[row] = _Row(prompt, [])
        return row

    def free(self, row: int) -> None:
        """Drop a row's keys and values."""
        self._cache.free(row)
        del self._rows[row]

    def predict(self, asks: list[CanvasAsk]) -> list[Float[Tensor, "wanted vocab"]]:
        """One pass: the new text of each row, and the places in work.

        Raises:
            SlotsFullError: there is no memory for the new text; nothing was changed.
        """
        begins = [self._begin(ask) for ask in asks]
        inputs = [self._input(ask, begin) for ask, begin in zip(asks, begins, strict=True)]
        logits = self._pass(inputs)
        self._cache.commit({one.row: range(len(one.tokens)) for one in inputs})
        for one in inputs:
            self._rows[one.row].read += one.tokens
        found: list[Tensor] = []
        at = 0
        for ask, begin, one in zip(asks, begins, inputs, strict=True):
            # The last token of the text predicts the first place in work, and each place the one behind it.
            found.append(logits[[at + place - begin for place in ask.wanted]])
            at += 1 + len(one.tree)
        return found

    def _begin(self, ask: CanvasAsk) -> int:
        """The first place in work: all before it are text."""
        return min(*ask.wanted[:1], min(ask.holes, default=len(ask.tokens)))

    def _input(self, ask: CanvasAsk, begin: int) -> RowInput:
        row = self._rows[ask.row]
        text = [*row.prompt, *ask.tokens[:begin]]
        # What was opened again, or read in another round as text, is read anew; the last token always is.
        known = min(shared_length(row.read, text), len(text) - 1)
        if known < len(row.read):
            self._cache.rollback(ask.row, known)
            del row.read[known:]
        # The last place of the block predicts what is behind it, and is read only if something inside wants to see it.
        seen = ask.tokens[begin : ask.block.stop - 1]
        places = [self._hole if begin + at in ask.holes else token for at, token in enumerate(seen)]
        return RowInput(row=ask.row, tokens=tuple(text[known:]), tree=TokenTree.chain(places), mutual=True)

    def _pass(self, inputs: list[RowInput]) -> Float[Tensor, "wanted vocab"]:
        place = self._cache.begin(inputs)
        flags = [
            flag
            for group in place.groups
            for row in group.rows
            for flag in (*([0.0] * len(row.tokens)), *([1.0] * len(row.tree)))
        ]
        with torch.inference_mode():
            self._gate.factor = paired(torch.tensor(flags, device=place.tokens.device)[:, None])
            attendings = [attending_of(self._network, group) for group in place.groups]
            hidden, _ = self._network.decode(place.tokens, place.positions, attendings)
            return self._network.logits(hidden[place.wanted])
