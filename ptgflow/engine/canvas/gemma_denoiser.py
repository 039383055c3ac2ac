"""DiffusionGemma: an encoder reads the text causally, a decoder sees a block of it whole, and holes are noise.

The model has no mask token. A hole is a token drawn uniformly anew in every pass, and each pass is told what the one
before it has said of the block (self-conditioning), as in transformers' `DiffusionGemmaGenerationMixin`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from ptgflow.diagnostics.codes.runtime import UNSUPPORTED_MODEL
from ptgflow.engine.canvas.kept_states import KeptLayer
from ptgflow.engine.canvas.rules import CanvasAsk
from ptgflow.engine.passes.attention import FULL, SLIDING, additive
from ptgflow.engine.prefixes import shared_length
from ptgflow.engine.randomness import Purpose, uniform
from ptgflow.errors import RunError


@dataclass(slots=True)
class _Row:
    prompt: tuple[int, ...]
    read: tuple[int, ...] = ()
    """The text that the encoder has read."""
    states: list[Tensor] = field(default_factory=list[Tensor])
    """Of each layer its keys and values, `[2, heads, places, size]`; heads and their size differ between layers."""
    block: range | None = None
    said: Tensor | None = None
    """Logits of the block's places in the pass before; None: the block has had none."""
    passes: int = 0


@final
class GemmaDenoiser:
    """A `Denoiser` over `DiffusionGemmaForBlockDiffusion`, for text.

    Exact as the model defines it, but for the conditioning on what a pass said before: those logits are taken as they
    are, where the model's own sampler divides them by its temperature. What lies before a block has to be written, and
    what lies behind it is not seen. The first pass of a block has the encoder read the text that is new, too.
    """

    def __init__(self, network: PreTrainedModel, *, seed: int = 0, name: str = "the diffusion model") -> None:
        """Prepare.

        Args:
            network: in evaluation mode.
            seed: of the noise, which is a function of it, of the place and of the number of the row's pass.
            name: for messages.

        Raises:
            RunError: UNSUPPORTED_MODEL.
        """
        config: Any = network.config
        attention, reason = config._attn_implementation, None
        if config.model_type != "diffusion_gemma":
            reason = f"its architecture is {config.model_type!r}"
        elif attention not in ("eager", "sdpa"):
            reason = f"attention {attention!r} cannot mask single places"
        elif config.text_config.use_bidirectional_attention == "all":
            reason = "its encoder does not read causally"
        if reason is not None:
            raise RunError([UNSUPPORTED_MODEL(model=name, reason=reason)])
        self._network: Any = network
        self._name = name
        self._window: Final[int] = config.text_config.sliding_window
        self._vocab: Final[int] = config.text_config.vocab_size
        self._layers: Final[int] = config.text_config.num_hidden_layers
        self._additive: Final = attention == "eager"
        self._seed = seed
        self._rows: dict[int, _Row] = {}
        self._admitted = 0

    def admit(self, prompt: tuple[int, ...], size: int) -> int:
        """A row for a canvas behind a prompt of at least one token."""
        del size
        assert prompt, "the decoder needs a text that was read"
        self._admitted += 1
        self._rows[self._admitted] = _Row(prompt)
        return self._admitted

    def without(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        """The token that a text begins with.

        Raises:
            RunError: UNSUPPORTED_MODEL, where the configuration names none.
        """
        del prompt
        start: int | None = self._network.config.text_config.bos_token_id
        if start is None:
            reason = "its configuration names no token that a text begins with, which stands for a missing prompt"
            raise RunError([UNSUPPORTED_MODEL(model=self._name, reason=reason, help="choose another guidance")])
        return (start,)

    def free(self, row: int) -> None:
        del self._rows[row]

    @torch.inference_mode()
    def predict(self, asks: list[CanvasAsk]) -> list[Float[Tensor, "lines vocab"]]:
        """Logits of the wanted places; see `Denoiser`.

        Raises:
            RunError: UNSUPPORTED_MODEL, where a place is doubted.
        """
        if any(ask.doubted for ask in asks):
            reason = "it has no mask token, so it cannot be asked how likely a token is at a place that does not see it"
            raise RunError([UNSUPPORTED_MODEL(model=self._name, reason=reason, help="choose another re-masker")])
        rows = [self._rows[ask.row] for ask in asks]
        self._read([(row, (*row.prompt, *ask.tokens[: ask.block.start])) for row, ask in zip(rows, asks, strict=True)])
        for row, ask in zip(rows, asks, strict=True):
            assert not any(place < ask.block.start for place in ask.holes), "blocks are written from left to right"
            if row.block != ask.block:
                row.block, row.said = ask.block, None
        logits = self._see(rows, [self._shown(row, ask) for row, ask in zip(rows, asks, strict=True)])
        found: list[Tensor] = []
        for row, ask, own in zip(rows, asks, logits, strict=True):
            row.said = own[: len(ask.block)]
            row.passes += 1
            found.append(row.said[[place - ask.block.start for place in ask.wanted]].float())
        return found

    def _shown(self, row: _Row, ask: CanvasAsk) -> list[int]:
        """The block, with noise in its holes."""
        # A hole's token is what a draft would be anywhere else, so its numbers are those of drafts.
        return [
            int(uniform(self._seed, place, Purpose.DRAFT, row.passes) * self._vocab)
            if place in ask.holes
            else ask.tokens[place]
            for place in ask.block
        ]

    def _read(self, texts: Sequence[tuple[_Row, tuple[int, ...]]]) -> None:
        """Have the encoder read what is new of some texts."""
        todo: list[tuple[_Row, tuple[int, ...]]] = []
        for row, text in texts:
            same = shared_length(row.read, text)
            row.states = [states[:, :, :same] for states in row.states]
            row.read = text[:same]
            if same < len(text):
                todo.append((row, text[same:]))
        if not todo:
            return
        known, new = _lengths([row.read for row, _ in todo]), _lengths([text for _, text in todo])
        layers = [KeptLayer(states) for states in self._stacked([row for row, _ in todo])]
        # Padding asks from where the new text begins, so that it sees something in every kind of layer.
        columns = torch.arange(int(new.max()))
        positions = known[:, None] + columns * (columns < new[:, None])
        self._network.model.encoder(
            input_ids=self._padded([text for _, text in todo]),
            position_ids=positions.to(self._network.device),
            attention_mask=self._masks(_causal(known, new, positions, self._window)),
            past_key_values=Cache(layers=list(layers)),
        )
        for number, (row, text) in enumerate(todo):
            fresh = [layer.fresh[:, number, :, : len(text)] for layer in layers]
            before = row.states or [states[:, :, :0] for states in fresh]
            row.states = [torch.cat(pair, dim=2) for pair in zip(before, fresh, strict=True)]
            row.read = (*row.read, *text)

    def _see(self, rows: list[_Row], blocks: list[list[int]]) -> Float[Tensor, "rows width vocab"]:
        """What the decoder says of each place of the blocks."""
        read, width = _lengths([row.read for row in rows]), _lengths(blocks)
        columns = torch.arange(int(width.max()))
        said = [row.said for row in rows]
        conditioned = next((one for one in said if one is not None), None)
        conditions: dict[str, Tensor] = {}
        if conditioned is not None:
            none = conditioned.new_zeros(1, self._vocab)
            told = pad_sequence([none if one is None else one for one in said], batch_first=True)
            conditions["self_conditioning_logits"] = torch.nn.functional.pad(
                told, (0, 0, 0, len(columns) - told.shape[1])
            )
            conditions["self_conditioning_mask"] = torch.tensor([one is not None for one in said], device=told.device)
        layers = [KeptLayer(states) for states in self._stacked(rows)]
        output = self._network(
            decoder_input_ids=self._padded(blocks),
            decoder_position_ids=(read[:, None] + columns).to(self._network.device),
            decoder_attention_mask=self._masks(_whole(read, width, self._window)),
            past_key_values=Cache(layers=list(layers)),
            **conditions,
        )
        return output.logits

    def _stacked(self, rows: list[_Row]) -> list[Tensor] | list[None]:
        """Of each layer the states of some rows, padded at the end; None: no row has any."""
        if not any(row.read for row in rows):
            return [None] * self._layers
        some = next(row for row in rows if row.read)
        found: list[Tensor] = []
        for number, like in enumerate(some.states):
            padded = like.new_zeros(2, len(rows), like.shape[1], max(len(row.read) for row in rows), like.shape[3])
            for at, row in enumerate(rows):
                if row.read:
                    padded[:, at, :, : len(row.read)] = row.states[number]
            found.append(padded)
        return found

    def _masks(self, visible: dict[str, Bool[Tensor, "rows width shown"]]) -> dict[str, Tensor]:
        masks = {kind: seen[:, None].to(self._network.device) for kind, seen in visible.items()}
        if not self._additive:
            return masks
        dtype = self._network.dtype
        return {kind: additive(seen, dtype, torch.finfo(dtype).min) for kind, seen in masks.items()}

    def _padded(self, texts: Sequence[Sequence[int]]) -> Int[Tensor, "rows width"]:
        return pad_sequence([torch.tensor(text) for text in texts], batch_first=True).to(self._network.device)


def _lengths(texts: Sequence[Sequence[int]]) -> Int[Tensor, " rows"]:
    return torch.tensor([len(text) for text in texts])


def _causal(
    known: Int[Tensor, " rows"], new: Int[Tensor, " rows"], positions: Int[Tensor, "rows width"], window: int
) -> dict[str, Bool[Tensor, "rows width shown"]]:
    """What the encoder's places see: what was read, then what is new, up to themselves."""
    kept, columns = torch.arange(int(known.max())), torch.arange(positions.shape[1])
    there = torch.cat([kept < known[:, None], columns < new[:, None]], dim=1)[:, None]
    places = torch.cat([kept.expand(len(known), -1), known[:, None] + columns], dim=1)[:, None]
    seen = there & (places <= positions[:, :, None])
    return {FULL: seen, SLIDING: seen & (places > positions[:, :, None] - window)}


def _whole(
    read: Int[Tensor, " rows"], width: Int[Tensor, " rows"], window: int
) -> dict[str, Bool[Tensor, "rows width shown"]]:
    """What the decoder's places see: their whole block, and of the text all, or the last places of a window.

    The window's own place counts, so that of the text one less is left, whichever place of the block looks back.
    """
    kept, columns = torch.arange(int(read.max())), torch.arange(int(width.max()))
    block = columns < width[:, None]
    whole = torch.cat([kept < read[:, None], block], dim=1)
    near = torch.cat([(kept < read[:, None]) & (kept > read[:, None] - window), block], dim=1)
    shape = (-1, len(columns), -1)
    return {FULL: whole[:, None].expand(shape), SLIDING: near[:, None].expand(shape)}
