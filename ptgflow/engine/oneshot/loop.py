"""The loop of one-shot generation: a pass over the windows of all rows, and where a row asks for it one or two more."""

from collections.abc import Sequence
from typing import final

from ptgflow.engine.canvas.gated_pass import Seen
from ptgflow.engine.oneshot.request import OneShotRequest
from ptgflow.engine.oneshot.window_row import OneShotRow
from ptgflow.engine.oneshot.windows import WindowAsk
from ptgflow.engine.rounds import RowId
from ptgflow.engine.source_loop import SourceLoop


@final
class OneShotLoop(SourceLoop[OneShotRequest, WindowAsk, tuple[Seen, ...], OneShotRow]):
    """Writes texts with one network."""

    def _opened(self, request: OneShotRequest) -> OneShotRow:
        return OneShotRow(request, self._model.codec, self._model.vocab_size, self._model.device)

    def _settle(
        self, rows: Sequence[RowId], predicted: Sequence[tuple[Seen, ...]], failed: dict[RowId, Exception]
    ) -> dict[RowId, str]:
        del failed
        return {one: self._rows[one].settle(self._passes, found) for one, found in zip(rows, predicted, strict=True)}
