"""Public masked models: a network of transformers that sees a prompt and a canvas as one text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from ptgflow.contracts.masked_model import MaskedConventions
from ptgflow.diagnostics.codes.runtime import UNSUPPORTED_MODEL
from ptgflow.engine.canvas.columns import Columns, hide_shadows
from ptgflow.engine.canvas.keeping import Keeping, chooser
from ptgflow.engine.canvas.kept_states import KeptLayer, KeptStates, merged, stacked
from ptgflow.engine.canvas.rules import CanvasAsk
from ptgflow.engine.canvas.text_layout import TextLayout
from ptgflow.engine.passes.attention import SLIDING, AttentionPattern, additive
from ptgflow.errors import RunError

_PADDING: Final = 2**30
"""Block of a padded query, behind all others: it sees everything, so that its softmax has something to sum."""
_HIDDEN: Final = 2**30 + 1
"""Block of a padded key, which not even that one sees."""


@dataclass(slots=True)
class _Row:
    layout: TextLayout
    kept: KeptStates | None = None


@final
@dataclass(frozen=True, kw_only=True)
class _Job(Columns):
    """One row of one pass."""

    row: _Row
    block: range


@final
class FullDenoiser:
    """A `Denoiser` over a causal language model of transformers, whose causal mask is replaced by that of the layout.

    Every pass has its own mask of all places against all, and positions of its own, so that padding and what else is in
    a pass change nothing but rounding.
    """

    def __init__(
        self,
        network: PreTrainedModel,
        conventions: MaskedConventions,
        cache: Keeping = "none",
        *,
        vocab: int | None = None,
        name: str = "the masked model",
    ) -> None:
        """Prepare.

        Args:
            network: in evaluation mode.
            conventions: how it wants to be asked.
            cache: which keys and values are kept from one pass to the next; `none` is exact.
            vocab: tokens of the target, where the model has more; None: all.
            name: for messages.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model without the mask token, or whose attention cannot be masked freely.
        """
        check_network(network, conventions, name)
        self._network = network
        self._conventions = conventions
        self._choose = chooser(cache, conventions)
        self._vocab = vocab
        self._rows: dict[int, _Row] = {}
        self._admitted = 0

    def admit(self, prompt: tuple[int, ...], size: int) -> int:
        self._admitted += 1
        self._rows[self._admitted] = _Row(TextLayout(self._conventions, prompt, size))
        return self._admitted

    def without(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        """As many mask tokens (LLaDA, arXiv 2502.09992, as its code has it)."""
        return (self._conventions.mask_id,) * len(prompt)

    def free(self, row: int) -> None:
        del self._rows[row]

    def predict(self, asks: list[CanvasAsk]) -> list[Float[Tensor, "lines vocab"]]:
        """Logits of the wanted places; see `Denoiser`. A row must not be asked twice at once."""
        jobs = [self._job(ask) for ask in asks]
        lines: dict[int, Tensor] = {}
        # Rows that compute everything would make the others as wide as they are, so each kind has a call of its own.
        for reads in (False, True):
            numbers = [number for number, job in enumerate(jobs) if job.reads is reads]
            if numbers:
                lines.update(zip(numbers, self._run([jobs[number] for number in numbers]), strict=True))
        return [lines[number] for number in range(len(jobs))]

    def rows(self, texts: Sequence[tuple[int, ...]]) -> list[Float[Tensor, "places vocab"]]:
        """What every row of some texts says, whichever place it predicts; for `shift_probe`.

        A text is a canvas without a prompt, and has mask tokens where it has holes.
        """
        jobs = [self._text(text) for text in texts]
        return self._run(jobs, keep=False)

    def _job(self, ask: CanvasAsk) -> _Job:
        row = self._rows[ask.row]
        tokens = row.layout.shown(ask)
        places: Sequence[int] = range(len(tokens))
        if self._choose is not None and row.kept is not None:
            places = self._choose(row.layout, ask, tokens, row.kept)
        return _Job(row=row, tokens=tokens, places=places, rows=row.layout.lines(ask), block=ask.block)

    def _text(self, text: tuple[int, ...]) -> _Job:
        layout, places = TextLayout(self._conventions, (), len(text)), range(len(text))
        return _Job(row=_Row(layout), tokens=text, places=places, rows=list(places), block=places)

    @torch.inference_mode()
    def _run(self, jobs: list[_Job], *, keep: bool = True) -> list[Tensor]:
        """One call of the network; what it leaves is kept for the rows, if anything is."""
        device = self._network.device
        wanted = sorted({job.columns[row] for job in jobs for row in job.rows})
        kept = [job.row.kept for job in jobs if job.reads and job.row.kept is not None]
        layers = self._layers(kept) if keep and self._choose is not None else None
        output = self._network(
            input_ids=_padded([job.ids for job in jobs], 0).to(device),
            position_ids=_padded([job.positions for job in jobs], 0).to(device),
            attention_mask=self._mask(_visible(jobs).to(device)),
            past_key_values=None if layers is None else Cache(layers=list(layers)),
            use_cache=layers is not None,
            logits_to_keep=torch.tensor(wanted, device=device),
        )
        if layers is not None:
            _keep(jobs, layers)
        line = {column: number for number, column in enumerate(wanted)}
        logits = over_target(output.logits, self._conventions.mask_id, self._vocab)
        return [logits[at, [line[job.columns[row]] for row in job.rows]] for at, job in enumerate(jobs)]

    def _layers(self, kept: list[KeptStates]) -> list[KeptLayer]:
        count = self._network.config.num_hidden_layers
        if not kept:
            return [KeptLayer(None) for _ in range(count)]
        return [KeptLayer(layer) for layer in stacked(kept)]

    def _mask(self, visible: Bool[Tensor, "rows width shown"]) -> Tensor:
        if self._network.config._attn_implementation == "sdpa":
            return visible[:, None]
        dtype = self._network.dtype
        return additive(visible[:, None], dtype, torch.finfo(dtype).min)


def over_target(
    logits: Float[Tensor, "rows wanted all"], mask_id: int, vocab: int | None
) -> Float[Tensor, "rows wanted vocab"]:
    """In fp32, over the target's tokens, of which a mask token is none that could be written."""
    logits = logits[..., :vocab].float()
    if mask_id < logits.shape[-1]:
        logits[..., mask_id] = -torch.inf
    return logits


def check_network(network: PreTrainedModel, conventions: MaskedConventions, name: str) -> None:
    """Whether a network can be asked so.

    Raises:
        RunError: UNSUPPORTED_MODEL.
    """
    embedding: Any = network.get_input_embeddings()
    reason, rows = None, embedding.weight.shape[0]
    attention = network.config._attn_implementation
    if conventions.mask_id >= rows:
        reason = f"it has {rows} tokens, so its mask token cannot be {conventions.mask_id}"
    elif attention not in ("eager", "sdpa"):
        reason = f"attention {attention!r} cannot mask single places"
    elif SLIDING in AttentionPattern.of(network.config, name).kinds:
        reason = "some of its layers see a window only, and a canvas must be seen whole"
    if reason is not None:
        raise RunError([UNSUPPORTED_MODEL(model=name, reason=reason)])


def _visible(jobs: list[_Job]) -> Bool[Tensor, "rows width shown"]:
    """Which kept and which new keys each new place sees: those of no later block, and of shadows their own alone."""
    asking = _padded([job.row.layout.blocks[job.positions] for job in jobs], _PADDING)
    keys = [asking.masked_fill(asking == _PADDING, _HIDDEN)]
    if any(job.reads for job in jobs):
        keys.insert(0, _padded([_kept_blocks(job) for job in jobs], _HIDDEN))
    visible = torch.cat(keys, dim=1)[:, None, :] <= asking[:, :, None]
    for seen, job in zip(visible, jobs, strict=True):
        hide_shadows(seen, job)
    return visible


def _kept_blocks(job: _Job) -> Tensor:
    """Block of each kept place; hidden are those that the pass computes anew, or that the text no longer has."""
    kept = job.row.kept
    assert kept is not None, "a row that reads has something to read"
    blocks = job.row.layout.blocks.clone()
    blocks[list(job.places)] = _HIDDEN
    blocks[len(job.tokens) :] = _HIDDEN
    return blocks[: len(kept)]


def _keep(jobs: list[_Job], layers: list[KeptLayer]) -> None:
    """Leave each row what the pass has computed of it."""
    fresh = torch.stack([layer.fresh for layer in layers])
    for number, job in enumerate(jobs):
        own = fresh[:, :, number, :, : len(job.places)].clone()
        job.row.kept = merged(job.row.kept, job.tokens, job.block, job.places, own)


def _padded(rows: Sequence[Any], value: int) -> Tensor:
    """Lists of numbers as lines of one tensor."""
    return pad_sequence([torch.as_tensor(row, dtype=torch.long) for row in rows], batch_first=True, padding_value=value)
