"""The loop over canvases: predict every hole of a block, write some, perhaps open some again; rows diverge freely."""

from typing import final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.canvas_row import CanvasRow
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.rules import CanvasAsk
from ptgflow.engine.rounds import RowId
from ptgflow.engine.row_loop import RowLoop


@final
class CanvasLoop(RowLoop[CanvasRequest, CanvasAsk, Float[Tensor, "wanted vocab"]]):
    """Fills canvases with one denoiser."""

    def admit(self, request: CanvasRequest) -> RowId:
        """Take in a canvas; it is worked on from the next round that has room.

        Raises:
            RunError: EMPTY_PROMPT, PROMPT_TOO_LONG, CANVAS_TOO_LONG or UNKNOWN_TOKEN.
        """
        row = super().admit(request)
        self._warnings += request.warnings
        return row

    def _opened(self, request: CanvasRequest) -> CanvasRow:
        return CanvasRow(request, self._model.codec, self._model.vocab_size, self._model.device)
