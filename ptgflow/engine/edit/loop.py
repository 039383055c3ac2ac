"""The loop over texts: show an editor all that are not done, take in what it rewrites; rows diverge freely."""

from collections import deque
from typing import Final, final

from ptgflow.engine.edit.edit_row import EditRow
from ptgflow.engine.edit.request import EditRequest
from ptgflow.engine.edit.rules import Editor
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import Decoded
from ptgflow.engine.rounds import Round, RowId


@final
class EditLoop:
    """Refines texts with one editor, at most `max_rows` in a round; more wait, first come, first served.

    What a row becomes does not depend on which others are there.
    """

    def __init__(self, model: LoadedModel, editor: Editor, *, max_rows: int) -> None:
        assert max_rows >= 1, "a loop has room for at least one row"
        self._codec: Final = model.codec
        self._editor = editor
        self._max_rows = max_rows
        self._next = 0
        self._passes = 0
        self._waiting: deque[RowId] = deque()
        self._active: list[RowId] = []
        self._rows: dict[RowId, EditRow] = {}

    @property
    def idle(self) -> bool:
        """Whether no row is there, active or waiting."""
        return not self._rows

    def admit(self, request: EditRequest) -> RowId:
        """Take in a text; it is looked at from the next round that has room."""
        row_id = RowId(self._next)
        self._next += 1
        self._rows[row_id] = EditRow(request, self._codec)
        self._waiting.append(row_id)
        return row_id

    def cancel(self, row: RowId) -> None:
        """Drop a row that is waiting or active."""
        assert row in self._rows, "only a row that has not finished can be cancelled"
        self._leave(row)

    def round(self) -> Round:
        """Show the editor every active text once, and settle what it says."""
        assert not self.idle, "a round needs a row"
        while self._waiting and len(self._active) < self._max_rows:
            self._active.append(self._waiting.popleft())
        rows = list(self._active)
        revisions = self._editor.revise([self._rows[one].ask(one) for one in rows])
        self._passes += 1
        finished: dict[RowId, Decoded] = {}
        settled: dict[RowId, str] = {}
        for one, revision in zip(rows, revisions, strict=True):
            row = self._rows[one]
            row.settle(self._passes, revision)
            if row.finished:
                finished[one] = row.decoded()
                if row.request.visible:
                    settled[one] = finished[one].text
        for one in finished:
            self._leave(one)
        return Round(number=self._passes, rows=tuple(rows), finished=finished, failed={}, settled=settled)

    def _leave(self, row: RowId) -> None:
        if row in self._waiting:
            self._waiting.remove(row)
        if row in self._active:
            self._active.remove(row)
            self._editor.free(row)
        del self._rows[row]
