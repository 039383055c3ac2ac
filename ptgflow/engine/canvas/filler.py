"""Who fills the holes of a model: a masked model by itself, asked as it wants to be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from ptgflow.contracts.masked_model import MaskedConventions, NoiseConventions
from ptgflow.diagnostics import Diagnostic
from ptgflow.diagnostics.codes.runtime import SHIFT_DOUBTED
from ptgflow.engine.canvas.feature_denoiser import FeatureDenoiser
from ptgflow.engine.canvas.full_denoiser import FullDenoiser
from ptgflow.engine.canvas.gemma_denoiser import GemmaDenoiser
from ptgflow.engine.canvas.keeping import Keeping
from ptgflow.engine.canvas.rules import Denoiser
from ptgflow.engine.canvas.shift_probe import shift_probe
from ptgflow.engine.models.model import LoadedModel

_PROBE: Final = "The sun rises in the east and sets in the west. Water is made of hydrogen and oxygen."
"""Ordinary words, of which a trained model knows which belong together."""
_MOST: Final = 32
"""Tokens of it that are asked for: each is a row of a pass."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Filler:
    """A denoiser, and what whoever asks it has to know of it."""

    denoiser: Denoiser
    block_length: int | None
    """Places of a block in its training; None: it has no blocks."""
    blocks: bool = False
    """Whether it sees blocks: places of one that is longer than in its training would be predicted behind holes."""
    joined: bool = False
    """Whether its blocks are counted from the first token of the prompt."""
    leftmost: bool = False
    """Whether the leftmost hole is the one that it predicts as it was trained to predict the next token."""
    warnings: tuple[Diagnostic, ...] = ()

    def before(self, prompt: Sequence[int], length: int) -> int:
        """Places of the first block that lie in the prompt."""
        return len(prompt) % length if self.joined else 0


def own_filler(model: LoadedModel, cache: Keeping) -> Filler | None:
    """What a masked model fills holes with; None: the model is not one.

    Args:
        model: to be asked.
        cache: what is kept between passes; `none` for a model whose holes are noise.

    Raises:
        RunError: UNSUPPORTED_MODEL, for a model whose attention cannot be masked freely.
    """
    holes = model.holes
    if isinstance(holes, NoiseConventions):
        assert cache == "none", "nothing is to be kept that is not kept anyway"
        return Filler(
            denoiser=GemmaDenoiser(model.network, name=model.name), block_length=holes.block_length, blocks=True
        )
    if holes is None:
        return None
    causal = holes.attention == "block_causal"
    return Filler(
        denoiser=_denoiser(model, holes, cache),
        block_length=holes.block_length,
        blocks=causal,
        joined=causal and holes.prompt_blocks == "joined",
        warnings=_doubts(holes, model),
    )


def _denoiser(model: LoadedModel, holes: MaskedConventions, cache: Keeping) -> Denoiser:
    if cache == "dllm" and holes.attention == "bidirectional":
        return FeatureDenoiser(model.network, holes, name=model.name)
    return FullDenoiser(model.network, holes, cache, name=model.name)


def _doubts(holes: MaskedConventions, model: LoadedModel) -> tuple[Diagnostic, ...]:
    """Whether the model finds ordinary words likelier when it is read by the other convention than the declared one."""
    text = model.codec.encode(_PROBE)[: _MOST + 1]
    if holes.mask_id in text or len(text) < 2 or max(text) >= model.vocab_size:
        return ()
    found = shift_probe(FullDenoiser(model.network, holes, name=model.name).rows, [text], holes.mask_id)
    # A model that knows less of plain words than chance does has nothing to say about them.
    ignorant = max(found.shifted, found.unshifted) < -math.log(model.vocab_size)
    if ignorant or not found.contradicts(shifted=holes.shifted):
        return ()
    return (
        SHIFT_DOUBTED(
            model=model.name,
            declared="shifted" if holes.shifted else "not shifted",
            shifted=f"{found.shifted:.1f}",
            unshifted=f"{found.unshifted:.1f}",
            other=str(not holes.shifted).lower(),
        ),
    )
