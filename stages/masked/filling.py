"""Masked generation: a canvas behind a prompt, or around what is given, filled block by block."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Final, Generic, Literal, TypeVar

from ptgflow.contracts import Canvas, Draft, Prompt, Verified
from ptgflow.engine.canvas.filler import Filler
from ptgflow.engine.canvas.lengths import Given
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.rules import Remasker, Selector
from ptgflow.engine.growth import TreeBuilder
from ptgflow.engine.heads.drafters import drafter_of
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import JointDrafter
from ptgflow.stages.base import AbstractDrafting, StageContext, Work
from ptgflow.stages.masked.adapters import adapters
from ptgflow.stages.masked.fillers import filler_of, refusal
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
        self._filler: Filler | None = None
        """Who fills the holes. It is made once: it may hold weights."""
        self._guiding = Guiding(options)

    @abstractmethod
    def selector(self) -> Selector:
        """The rule that commits."""

    def remasker(self) -> Remasker | None:
        """The rule that opens again, if there is one."""
        return remasker_of(self._options)

    @property
    def usual_progress(self) -> Literal["surest", "leftmost"]:
        """Which hole is filled where none is sure enough and the options do not say it."""
        return "leftmost" if self._filler is not None and self._filler.leftmost else "surest"

    def run(self, value: Prompt | Canvas | Verified, context: StageContext) -> Work[Draft]:
        """Yield one canvas.

        Raises:
            RunError: what is wrong with the adapters, or STAGE_FAILED for options that the model cannot serve.
            RecipeError: NO_GUIDE.
        """
        fresh = self._filler is None
        filler = self._filler = self._filler or self._load(context)
        canvas = self._canvas(value, context)
        if not any(canvas.holes):
            return _whole(canvas, context)
        prompt = canvas.prompt.token_ids if canvas.prompt is not None else (context.model.codec.start_id,)
        block_length = self._block_length(filler) or self._whole_canvas(value, len(canvas.holes), context)
        decoded = yield CanvasRequest(
            prompt_ids=prompt,
            canvas=canvas.token_ids,
            holes=canvas.holes,
            frozen=canvas.frozen,
            denoiser=filler.denoiser,
            selector=self.selector(),
            remasker=self.remasker(),
            guidance=self._guiding.guidance(prompt, len(canvas.token_ids), filler.denoiser, context, self.name),
            block_length=block_length,
            block_begins=-filler.before(prompt, block_length),
            length=length_of(self._options) if isinstance(value, Prompt) else Given(),
            sampling=context.generation.sampling,
            seed=context.seed,
            stop=context.generation.stop,
            warnings=filler.warnings if fresh else (),
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
            RunError: NO_MASK, HEADS_UNREADABLE, HEADS_MISMATCH or UNSAFE_WEIGHTS.
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

    def _load(self, context: StageContext) -> Filler:
        """Who fills the holes, and whether the options fit.

        Raises:
            RunError: NO_MASK, HEADS_UNREADABLE, HEADS_MISMATCH, UNSAFE_WEIGHTS, UNSUPPORTED_MODEL or STAGE_FAILED.
        """
        slot, options, method = context.slot, self._options, f"masked/{self.name}"
        filler = filler_of(context.model, slot, method, weights=options.weights, cache=options.cache)
        asked, native = options.block_length, filler.block_length
        if asked is not None and native is not None and filler.blocks and native % asked:
            reason = (
                f"block_length={asked}, and {context.model.name!r} was trained on blocks of {native} places: "
                "it knows those, and parts into which they can be cut"
            )
            raise refusal(slot, method, reason, f"block_length={native}")
        self._check_steps(self._block_length(filler), slot)
        return filler

    def _check_steps(self, places: int | None, slot: str) -> None:
        """Whether there is something to commit in each round of a block.

        Raises:
            RunError: STAGE_FAILED.
        """
        if isinstance(self._options, StepsOptions):
            for found in self._options.too_many(places):
                raise refusal(slot, f"masked/{self.name}", found.reason, *found.remedies)

    def _whole_canvas(self, value: Prompt | Canvas | Verified, places: int, context: StageContext) -> int:
        """A canvas as one block. Where it is given, its holes may be fewer than the rounds of a schedule.

        Raises:
            RunError: STAGE_FAILED.
        """
        if isinstance(value, Prompt):
            self._check_steps(places, context.slot)
        return places

    def _block_length(self, filler: Filler) -> int | None:
        """Places that are worked on at a time; None: all."""
        return self._options.block_length or filler.block_length


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
