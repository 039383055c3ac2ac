"""One-Shot generation by argmax: every place of a window in one pass, and the text up to the first end token."""

from pathlib import Path
from typing import ClassVar, final

from ptgflow.contracts import Prompt, Text
from ptgflow.diagnostics.codes.runtime import STAGE_FAILED
from ptgflow.engine.canvas.filler import Filler
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.selectors.everything import Everything
from ptgflow.engine.heads.loading import said_kind
from ptgflow.engine.oneshot.reading.argmax import ArgmaxReader
from ptgflow.engine.oneshot.reading.reader import Reader
from ptgflow.engine.oneshot.windows import Windows
from ptgflow.errors import RunError
from ptgflow.stages.base import StageContext, Work
from ptgflow.stages.masked.fillers import filler_of
from ptgflow.stages.oneshot.spec import ArgmaxOptions
from ptgflow.stages.oneshot.writing import Sized, shipped_windows, text_of

_PLACES = 16
"""Of a canvas that no training has said the places of."""


@final
class Argmax(Sized[ArgmaxOptions]):
    """The likeliest token of each place, or a draw at temperature > 0, independently of all others.

    It runs with what was trained for one-shot generation; or, where no length is to be chosen, with whatever fills
    canvases, as masked generation with a single round.
    """

    name: ClassVar[str] = "argmax"

    def __init__(self, options: ArgmaxOptions) -> None:
        super().__init__(options)
        self._filler: Filler | None = None
        """Who fills canvases. It is made once: it may hold weights."""

    def reader(self, windows: Windows, end: int) -> Reader:
        del windows
        return ArgmaxReader(end)

    def run(self, value: Prompt, context: StageContext) -> Work[Text]:
        """Yield one window, or one canvas of one block.

        Raises:
            RunError: what is wrong with the weights, or STAGE_FAILED for those that the model has no use for, or for a
                length that nothing foresees.
        """
        fresh = self._windows is None and self._filler is None
        if fresh and not self._has_windows(context):
            self._filler = self._canvases(context)
        if self._filler is None:
            return (yield from super().run(value, context))
        filler, places = self._filler, self._options.places or self._filler.block_length or _PLACES
        room = context.model.context_length - len(value.token_ids)
        size = max(min(context.budget, places, room), 1)
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
        return text_of(decoded, value, context)

    def _has_windows(self, context: StageContext) -> bool:
        """Whether there are weights for one-shot generation: those that are named, or some that ship."""
        given, model = self._options.weights, context.model
        if given is not None:
            return model.holes is None and said_kind(Path(given)) == "oneshot"
        return model.holes is None and shipped_windows(model.name, self.name) is not None

    def _canvases(self, context: StageContext) -> Filler:
        """A masked model, or one with adapters for canvases.

        Raises:
            RunError: as of `run`.
        """
        slot, options = context.slot, self._options
        if options.length != "fixed":
            reason = f"length={options.length} needs a length head, and what fills canvases has none"
            remedy = f"write stages.{slot}.length=fixed, or stages.{slot}.weights=FOLDER with what "
            remedy += f"`ptgflow train objective=oneshot model={context.model.name}` writes"
            raise RunError([STAGE_FAILED(slot=slot, method="oneshot/argmax", reason=reason, help=remedy)])
        return filler_of(context.model, slot, "oneshot/argmax", weights=options.weights)
