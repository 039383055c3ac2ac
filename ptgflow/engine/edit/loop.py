"""The loop over texts: show an editor all that are not done, take in what it rewrites; rows diverge freely."""

from collections.abc import Sequence
from typing import final

from ptgflow.engine.edit.edit_row import EditRow
from ptgflow.engine.edit.request import EditRequest
from ptgflow.engine.edit.rules import Editor, Revision
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.rounds import RowId
from ptgflow.engine.row_loop import RowLoop


@final
class EditLoop(RowLoop[EditRequest, Revision, EditRow]):
    """Refines texts with one editor. A round shows it every active text once."""

    def __init__(self, model: LoadedModel, editor: Editor, *, max_rows: int) -> None:
        super().__init__(model, max_rows=max_rows)
        self._editor = editor
        self._shown: set[RowId] = set()
        """Rows of which the editor may know something, also while they wait again for want of memory."""

    def _opened(self, request: EditRequest) -> EditRow:
        return EditRow(request, self._model.codec)

    def _tokens(self, request: EditRequest) -> int:
        return len(request.prompt_ids) + len(request.token_ids)

    def _enter(self, row: RowId) -> None:
        self._shown.add(row)

    def _predicted(self, rows: Sequence[RowId]) -> list[Revision]:
        return self._editor.revise([self._rows[one].ask(one) for one in rows])

    def _settle(
        self, rows: Sequence[RowId], predicted: Sequence[Revision], failed: dict[RowId, Exception]
    ) -> dict[RowId, str]:
        del failed
        for one, revision in zip(rows, predicted, strict=True):
            self._rows[one].settle(self._passes, revision)
        return {one: self._rows[one].decoded().text for one in rows if self._rows[one].finished}

    def _leave(self, row: RowId) -> None:
        super()._leave(row)
        if row in self._shown:
            self._shown.remove(row)
            self._editor.free(row)
