"""One-Shot generation by argmax: every place of a canvas in one pass, and the text up to the first end token."""

from typing import final

from ptgflow.contracts import Prompt, Text
from ptgflow.engine.canvas.gated_denoiser import GatedDenoiser
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.rules import Denoiser
from ptgflow.engine.canvas.selectors.everything import Everything
from ptgflow.stages.base import AbstractMethod, StageContext, Work
from ptgflow.stages.masked.adapters import adapters
from ptgflow.stages.oneshot.spec import ArgmaxOptions


@final
class Argmax(AbstractMethod[Prompt, Text]):
    """The likeliest token of each place, or a draw at temperature > 0, independently of all others."""

    def __init__(self, options: ArgmaxOptions) -> None:
        self._options = options
        self._denoiser: Denoiser | None = None
        """It is made once: it holds the weights."""

    def run(self, value: Prompt, context: StageContext) -> Work[Text]:
        """Yield one canvas of one block.

        Raises:
            RunError: what is wrong with the adapters.
        """
        if self._denoiser is None:
            heads = adapters(context.model, context.slot, self._options.weights)
            self._denoiser = GatedDenoiser(heads, context.model)
        room = context.model.context_length - len(value.token_ids)
        size = max(min(context.budget, self._options.places, room), 1)
        decoded = yield CanvasRequest(
            prompt_ids=value.token_ids,
            canvas=(0,) * size,
            holes=(True,) * size,
            frozen=(False,) * size,
            denoiser=self._denoiser,
            selector=Everything(),
            block_length=size,
            sampling=context.generation.sampling,
            seed=context.seed,
            stop=context.generation.stop,
        )
        return Text(
            token_ids=decoded.token_ids,
            tokenizer=context.model.codec.fingerprint,
            text=decoded.text,
            origin=(context.slot,) * len(decoded.token_ids),
            prompt=value,
            finish_reason=decoded.finish_reason,
            scores=decoded.scores,
        )
