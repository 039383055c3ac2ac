"""From a stage's options to the guidance of a row."""

from typing import final

from ptgflow.contracts import Capability
from ptgflow.diagnostics.codes.methods import NO_GUIDE
from ptgflow.engine.canvas.guidance import Agreement, ClassifierFree, Guidance, Guide, Product
from ptgflow.engine.canvas.guidance.reading_guide import ReadingGuide
from ptgflow.engine.canvas.rules import Denoiser
from ptgflow.errors import RecipeError
from ptgflow.stages.base import StageContext
from ptgflow.stages.masked.guidance_options import GuidanceOptions


@final
class Guiding:
    """What a stage needs of other models; it holds the guide, so there is one a stage."""

    def __init__(self, options: GuidanceOptions) -> None:
        self._options = options
        self._guide: Guide | None = None

    def guidance(
        self, prompt: tuple[int, ...], places: int, denoiser: Denoiser, context: StageContext, method: str
    ) -> Guidance | None:
        """The guidance of one row.

        Raises:
            RecipeError: NO_GUIDE, where no autoregressive model is there, or it cannot read so long a text.
            RunError: UNSUPPORTED_MODEL, for a model that cannot be asked so.
        """
        own = self._options
        if own.guidance == "none":
            return None
        if own.guidance == "cfg":
            scale = 1.0 if own.guidance_scale is None else own.guidance_scale
            return ClassifierFree(prompt=denoiser.without(prompt), scale=scale)
        guide = self._opened(len(prompt) + places, context, method)
        if own.guidance == "agreement":
            return Agreement(guide=guide)
        return Product(guide=guide, ratio=0.7 if own.guidance_ratio is None else own.guidance_ratio)

    def _opened(self, tokens: int, context: StageContext, method: str) -> Guide:
        model = context.draft_model or context.model
        reason = None
        if Capability.CAUSAL not in model.capabilities:
            reason = f"{model.name!r} does not predict a token from those before it"
        elif tokens > model.context_length:
            reason = f"{model.name!r} reads {model.context_length} tokens, and prompt and canvas are {tokens}"
        if reason is not None:
            stage = f"{context.slot!r} (masked/{method})"
            raise RecipeError([NO_GUIDE(stage=stage, slot=context.slot, reason=reason)])
        if self._guide is None:
            self._guide = ReadingGuide(model, vocab=context.model.vocab_size)
        return self._guide
