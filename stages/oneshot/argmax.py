"""One-Shot generation by argmax: every place of a canvas in one pass, and the text up to the first end token."""

from typing import final

from ptgflow.contracts import Prompt, Text
from ptgflow.engine.canvas.filler import Filler
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.selectors.everything import Everything
from ptgflow.stages.base import AbstractMethod, StageContext, Work
from ptgflow.stages.masked.fillers import filler_of
from ptgflow.stages.oneshot.spec import ArgmaxOptions


@final
class Argmax(AbstractMethod[Prompt, Text]):
    """The likeliest token of each place, or a draw at temperature > 0, independently of all others."""

    def __init__(self, options: ArgmaxOptions) -> None:
        self._options = options
        self._filler: Filler | None = None
        """Who fills the holes. It is made once: it may hold weights."""

    def run(self, value: Prompt, context: StageContext) -> Work[Text]:
        """Yield one canvas of one block.

        Raises:
            RunError: what is wrong with the adapters, or STAGE_FAILED for adapters that the model has no use for.
        """
        fresh = self._filler is None
        filler = self._filler = self._filler or filler_of(
            context.model, context.slot, "oneshot/argmax", weights=self._options.weights
        )
        room = context.model.context_length - len(value.token_ids)
        size = max(min(context.budget, self._options.places, room), 1)
        decoded = yield CanvasRequest(
            prompt_ids=value.token_ids,
            canvas=(0,) * size,
            holes=(True,) * size,
            frozen=(False,) * size,
            denoiser=filler.denoiser,
            selector=Everything(),
            block_length=size,
            sampling=context.generation.sampling,
            seed=context.seed,
            stop=context.generation.stop,
            warnings=filler.warnings if fresh else (),
        )
        return Text(
            token_ids=decoded.token_ids,
            tokenizer=context.model.codec.fingerprint,
            text=decoded.text,
            origin=(context.slot,) * len(decoded.token_ids),
            prompt=value,
            finish_reason=decoded.finish_reason,
        )
