"""Masked generation: a canvas behind a prompt, or around what is given, filled block by block."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Final, Generic, TypeVar

from ptgflow.contracts import Canvas, Draft, Prompt, Verified
from ptgflow.diagnostics.codes.runtime import STAGE_FAILED
from ptgflow.engine.canvas.gated_denoiser import GatedDenoiser
from ptgflow.engine.canvas.lengths import Given
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.rules import Denoiser, Remasker, Selector
from ptgflow.engine.growth import TreeBuilder
from ptgflow.engine.heads.drafters import drafter_of
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import JointDrafter
from ptgflow.errors import RunError
from ptgflow.stages.base import AbstractDrafting, StageContext, Work
from ptgflow.stages.masked.adapters import adapters
from ptgflow.stages.masked.guiding import Guiding
from ptgflow.stages.masked.lengths import length_of
from ptgflow.stages.masked.remaskers import remasker_of
from ptgflow.stages.masked.spec import MaskedOptions, StepsOptions

WEAK: Final = 0.3
OptionsT = TypeVar("OptionsT", bound=MaskedOptions)


class Filling(AbstractDrafting[Prompt | Canvas | Verified, Draft], ABC, Generic[OptionsT]):
    """What every selector shares: where the holes are, who predicts them, and what becomes of the text."""

    name: ClassVar[str]
    """As in the table of methods."""

    def __init__(self, options: OptionsT) -> None:
        self._options = options
        self._made: tuple[Denoiser, int] | None = None
        """The denoiser and its block length. It is made once: it holds the weights."""
        self._guiding = Guiding(options)

    @abstractmethod
    def selector(self) -> Selector:
        """The rule that commits."""

    def remasker(self) -> Remasker | None:
        """The rule that opens again, if there is one."""
        return remasker_of(self._options)

    def run(self, value: Prompt | Canvas | Verified, context: StageContext) -> Work[Draft]:
        """Yield one canvas.

        Raises:
            RunError: what is wrong with the adapters, or STAGE_FAILED for a cache that has nothing to keep.
            RecipeError: NO_GUIDE.
        """
        if self._made is None:
            self._made = self._load(context)
        denoiser, block_length = self._made
        canvas = self._canvas(value, context)
        if not any(canvas.holes):
            return _whole(canvas, context)
        prompt = canvas.prompt.token_ids if canvas.prompt is not None else (context.model.codec.start_id,)
        decoded = yield CanvasRequest(
            prompt_ids=prompt,
            canvas=canvas.token_ids,
            holes=canvas.holes,
            frozen=canvas.frozen,
            denoiser=denoiser,
            selector=self.selector(),
            remasker=self.remasker(),
            guidance=self._guiding.guidance(prompt, len(canvas.token_ids), denoiser, context, self.name),
            block_length=block_length,
            length=length_of(self._options) if isinstance(value, Prompt) else Given(),
            sampling=context.generation.sampling,
            seed=context.seed,
            stop=context.generation.stop,
        )
        origin = tuple(
            context.slot if at >= len(canvas.holes) or canvas.holes[at] else canvas.origin[at]
            for at in range(len(decoded.token_ids))
        )
        return Draft(
            token_ids=decoded.token_ids,
            tokenizer=context.model.codec.fingerprint,
            text=decoded.text,
            origin=origin,
            prompt=canvas.prompt,
            finish_reason=decoded.finish_reason if isinstance(value, Prompt) else "stop",
            scores=decoded.scores,
            tops=decoded.tops,
        )

    def drafter(
        self, model: LoadedModel, slot: str, builder: TreeBuilder, *, size: int, least: float = 0.0
    ) -> JointDrafter:
        """A block of holes behind the target's text, foreseen in one pass: what is committed is the verifier's choice.

        Raises:
            RunError: NO_HEADS, HEADS_UNREADABLE, HEADS_MISMATCH or UNSAFE_WEIGHTS.
        """
        return drafter_of(adapters(model, slot, self._options.weights), model, builder, size=size, least=least)

    def _canvas(self, value: Prompt | Canvas | Verified, context: StageContext) -> Canvas:
        """All holes behind a prompt; a canvas as it is; of a verified text, holes where it is weak."""
        if isinstance(value, Canvas):
            return value
        if isinstance(value, Prompt):
            room = max(min(context.budget, context.model.context_length - len(value.token_ids)), 1)
            size = length_of(self._options).size(room)
            return Canvas(
                token_ids=(0,) * size,
                tokenizer=value.tokenizer,
                holes=(True,) * size,
                frozen=(False,) * size,
                origin=(context.slot,) * size,
                prompt=value,
            )
        weak = WEAK if self._options.weak is None else self._options.weak
        least = math.log(weak) if weak > 0 else -math.inf
        return Canvas(
            token_ids=value.token_ids,
            tokenizer=value.tokenizer,
            holes=tuple(score < least for score in value.scores),
            frozen=tuple(score >= least for score in value.scores),
            origin=value.origin,
            prompt=value.prompt,
        )

    def _load(self, context: StageContext) -> tuple[Denoiser, int]:
        """The model with its adapters.

        Raises:
            RunError: NO_HEADS, HEADS_UNREADABLE, HEADS_MISMATCH, UNSAFE_WEIGHTS or STAGE_FAILED.
        """
        slot, options, model = context.slot, self._options, context.model
        if options.cache != "none":
            reason = f"cache={options.cache} approximates what an adapted autoregressive model keeps exactly"
            raise self._refusal(slot, reason, "cache=none")
        heads = adapters(model, slot, options.weights)
        length = options.block_length or heads.config.block_length or 1
        if isinstance(options, StepsOptions):
            for found in options.too_many(length):
                raise self._refusal(slot, found.reason, *found.remedies)
        return GatedDenoiser(heads, model), length

    def _refusal(self, slot: str, reason: str, *remedies: str) -> RunError:
        """Of options that this model cannot serve."""
        remedy = "write " + " or ".join(f"stages.{slot}.{one}" for one in remedies)
        return RunError([STAGE_FAILED(slot=slot, method=f"masked/{self.name}", reason=reason, help=remedy)])


def _whole(canvas: Canvas, context: StageContext) -> Draft:
    """A canvas without holes, as it is."""
    return Draft(
        token_ids=canvas.token_ids,
        tokenizer=canvas.tokenizer,
        text=context.model.codec.decode(canvas.token_ids),
        origin=canvas.origin,
        prompt=canvas.prompt,
        scores=(0.0,) * len(canvas.token_ids),
    )
