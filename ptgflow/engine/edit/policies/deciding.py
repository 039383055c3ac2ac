"""What the policies say of texts, and the parts that a text which is longer than the model's context is edited in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.gated_denoiser import GatedDenoiser
from ptgflow.engine.canvas.gated_pass import GatedPass
from ptgflow.engine.edit.policies.filling import Holed, HoleFiller
from ptgflow.engine.edit.policies.network import PolicyNet
from ptgflow.engine.edit.policies.reading import TextReader
from ptgflow.engine.edit.rules import EditAsk
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a text, which is edited behind what stands before it."""

    number: int
    begin: int
    """Its first token in the text."""
    before: tuple[int, ...]
    """The prompt and the text before it, or the end of these; at least one token."""
    tokens: tuple[int, ...]
    room: int
    """Tokens that it may grow by."""
    fixed: int = 0
    """Tokens at its begin that stay: 1 of a text without a prompt, which begins with whatever its writer began with."""


def parts_of(ask: EditAsk, context: int, start: int) -> list[Part]:
    """A text as it is behind its prompt; where the two do not fit a context, in halves of one, each behind a quarter.

    Args:
        ask: the text.
        context: most tokens of a pass.
        start: the token that a text without a prompt begins with.
    """
    prompt, ids = ask.prompt_ids or (start,), ask.token_ids
    room = context - len(prompt) - len(ids)
    if room >= 0:
        return [Part(0, 0, prompt, ids, room, fixed=int(not ask.prompt_ids))]
    whole, size, before = (*prompt, *ids), max(context // 2, 1), max(context // 4, 1)
    found: list[Part] = []
    for number, begin in enumerate(range(0, len(ids), size)):
        at = len(prompt) + begin
        some = ids[begin : begin + size]
        known = whole[max(at - before, 0) : at]
        fixed = int(not begin and not ask.prompt_ids)
        found.append(Part(number, begin, known, some, context - len(known) - len(some), fixed=fixed))
    return found


@dataclass(slots=True)
class _Rows:
    """Of one part of one text: what reads it, and what fills its holes."""

    before: tuple[int, ...]
    reader: int
    filler: int


Key = tuple[int, int]
"""A text's row, and the number of its part."""


@final
class Policies:
    """Trained heads over a model with adapters for canvases. One text's results do not depend on the others."""

    def __init__(self, heads: Heads, adapters: Heads, model: LoadedModel) -> None:
        """Lay adapters beside the model's weights.

        Args:
            heads: of kind `levenshtein`.
            adapters: of kind `masked`: those that the heads were trained with.
            model: what both are for.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out.
        """
        config = heads.config
        assert config.block_length, "heads know the width of a window"
        assert adapters.config.block_length, "adapters know the length of a block"
        self.net: Final = PolicyNet(config)
        heads.fill(self.net)
        self.net.eval().requires_grad_(requires_grad=False).to(model.device)
        self.codec: Final = model.codec
        self._context, self._start = model.context_length, model.codec.start_id
        self._reader = TextReader(GatedPass(adapters, model), config.taps, config.block_length)
        self._filler = HoleFiller(GatedDenoiser(adapters, model), model, block=adapters.config.block_length)
        self._rows: dict[Key, _Rows] = {}

    def parts(self, asks: Sequence[EditAsk]) -> dict[Key, Part]:
        """The parts of all texts, ready to be read."""
        found = {(ask.row, one.number): one for ask in asks for one in parts_of(ask, self._context, self._start)}
        for key, part in found.items():
            known = self._rows.get(key)
            if known is not None and known.before != part.before:
                self._drop(key)
            if key not in self._rows:
                rows = _Rows(part.before, self._reader.admit(part.before), self._filler.admit(part.before))
                self._rows[key] = rows
        return found

    def free(self, row: int) -> None:
        """Drop what is known of a text."""
        for key in [key for key in self._rows if key[0] == row]:
            self._drop(key)

    def lines(self, texts: Mapping[Key, Sequence[int]]) -> dict[Key, Float[Tensor, "lines width"]]:
        """What the heads read of each text."""
        if not texts:
            return {}
        found = self._reader.read({self._rows[key].reader: tokens for key, tokens in texts.items()})
        with torch.inference_mode():
            # One at a time: products round differently over other numbers of lines.
            return {key: self.net.lines([found[self._rows[key].reader]])[0] for key in texts}

    def filled(self, texts: Mapping[Key, Holed]) -> dict[Key, list[tuple[int, float]]]:
        """What is written in the holes of each text, from the left, with its log-probability."""
        found = self._filler.fill({self._rows[key].filler: text for key, text in texts.items()})
        return {key: found[self._rows[key].filler] for key in texts}

    def _drop(self, key: Key) -> None:
        rows = self._rows.pop(key)
        self._reader.free(rows.reader)
        self._filler.free(rows.filler)
