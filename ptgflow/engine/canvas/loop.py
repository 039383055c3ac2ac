"""The loop over canvases: predict every hole of a block, write some, perhaps open some again; rows diverge freely."""

from collections import deque
from typing import final

from torch import Tensor

from ptgflow.diagnostics import Diagnostic
from ptgflow.diagnostics.codes.runtime import BATCH_HALVED, CANVAS_TOO_LONG, DECODE_LIMIT, UNKNOWN_TOKEN
from ptgflow.engine.canvas.asking import Asked, admitted, predicted, released
from ptgflow.engine.canvas.canvas_row import CanvasRow
from ptgflow.engine.canvas.guidance import Guide, Judging, Question
from ptgflow.engine.canvas.guidance.answering import answered
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.rules import Denoiser
from ptgflow.engine.memory import is_out_of_memory
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import Decoded
from ptgflow.engine.rounds import Round, RowId
from ptgflow.engine.sampling import unknown_tokens
from ptgflow.errors import RunError


@final
class CanvasLoop:
    """Fills canvases with one denoiser, at most `max_rows` in a pass; more wait, first come, first served.

    One model pass a round. What a row becomes does not depend on which others are there.
    """

    def __init__(self, model: LoadedModel, denoiser: Denoiser, *, max_rows: int) -> None:
        assert max_rows >= 1, "a loop has room for at least one row"
        self._model = model
        self._denoiser = denoiser
        self._max_rows = max_rows
        self._next = 0
        self._passes = 0
        self._waiting: deque[RowId] = deque()
        self._active: dict[RowId, Asked] = {}
        """Rows in work."""
        self._rows: dict[RowId, CanvasRow] = {}

    @property
    def idle(self) -> bool:
        """Whether no row is there, active or waiting."""
        return not self._rows

    def admit(self, request: CanvasRequest) -> RowId:
        """Take in a canvas; it is worked on from the next round that has room.

        Raises:
            RunError: EMPTY_PROMPT, PROMPT_TOO_LONG, CANVAS_TOO_LONG or UNKNOWN_TOKEN.
        """
        model, prompt, size = self._model, len(request.prompt_ids), len(request.canvas)
        model.check_prompt(prompt)
        if prompt + size > model.context_length:
            room = model.context_length - prompt
            finding = CANVAS_TOO_LONG(
                places=size, prompt=prompt, model=model.name, limit=model.context_length, room=room
            )
            raise RunError([finding])
        alien = unknown_tokens(request.sampling, model.vocab_size)
        if alien:
            raise RunError([UNKNOWN_TOKEN(token=alien[0], model=model.name, last=model.vocab_size - 1)])
        row_id = RowId(self._next)
        self._next += 1
        self._rows[row_id] = CanvasRow(request, model.codec, model.vocab_size, model.device)
        self._waiting.append(row_id)
        return row_id

    def cancel(self, row: RowId) -> None:
        """Drop a row that is waiting or active, with what it has written."""
        assert row in self._rows, "only a row that has not finished can be cancelled"
        self._leave(row)

    def round(self) -> Round:
        """Run one model pass and settle what it shows."""
        assert not self.idle, "a round needs a row"
        failed: dict[RowId, Exception] = {}
        warnings: list[Diagnostic] = []
        rows: list[RowId] = []
        settled: dict[RowId, str] = {}
        logits = []
        while self._waiting or self._active:
            self._fill_up()
            rows = list(self._active)
            try:
                logits = predicted(self._denoiser, [(self._rows[one], self._active[one]) for one in rows])
                break
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                warnings += self._make_room(rows, error, failed)
                rows = []
        if rows:
            self._passes += 1
        for one, found in zip(rows, logits, strict=True):
            self._rows[one].propose(self._passes, found)
        answers = self._answers(rows, failed)
        for one in (one for one in rows if one not in failed):
            text = self._rows[one].settle(answers.get(one))
            if text and self._rows[one].request.visible:
                settled[one] = text
        finished: dict[RowId, Decoded] = {
            one: self._rows[one].decoded() for one in rows if one not in failed and self._rows[one].finished
        }
        for one in (*finished, *failed):
            self._leave(one)
        return Round(
            number=self._passes,
            rows=tuple(rows),
            finished=finished,
            failed=failed,
            settled=settled,
            warnings=tuple(warnings),
        )

    def _fill_up(self) -> None:
        while self._waiting and len(self._active) < self._max_rows:
            one = self._waiting.popleft()
            self._active[one] = admitted(self._denoiser, self._rows[one].request)

    def _answers(self, rows: list[RowId], failed: dict[RowId, Exception]) -> dict[RowId, Tensor]:
        """What the guides say of what rows propose, where one is asked; rows that it has no memory for fail."""
        by_guide: dict[int, tuple[Guide, list[Question]]] = {}
        for one in rows:
            guidance, question = self._rows[one].request.guidance, self._rows[one].question(one)
            if isinstance(guidance, Judging) and question is not None:
                by_guide.setdefault(id(guidance.guide), (guidance.guide, []))[1].append(question)
        found: dict[RowId, Tensor] = {}
        for guide, questions in by_guide.values():
            answers, errors = answered(guide, questions)
            found |= {RowId(row): logits for row, logits in answers.items()}
            failed |= {RowId(row): self._too_large(RowId(row), error) for row, error in errors.items()}
        return found

    def _make_room(self, rows: list[RowId], error: Exception, failed: dict[RowId, Exception]) -> list[Diagnostic]:
        """Go on with half of the rows; the others wait. One row alone fails."""
        if len(rows) <= 1:
            for one in rows:
                failed[one] = self._too_large(one, error)
                released(self._denoiser, self._active.pop(one))
            return []
        self._max_rows = max(len(rows) // 2, 1)
        for one in reversed(rows[self._max_rows :]):
            released(self._denoiser, self._active.pop(one))
            self._waiting.appendleft(one)
        return [BATCH_HALVED(rows=len(rows), fewer=self._max_rows, model=self._model.name)]

    def _too_large(self, row: RowId, cause: Exception) -> RunError:
        """What ends a row that there is no memory for, even alone."""
        tokens = len(self._rows[row].request.prompt_ids) + len(self._rows[row].request.canvas)
        found = RunError([DECODE_LIMIT(rows=1, tokens=tokens, model=self._model.name)])
        found.__cause__ = cause
        return found

    def _leave(self, row: RowId) -> None:
        if row in self._waiting:
            self._waiting.remove(row)
        if row in self._active:
            released(self._denoiser, self._active.pop(row))
        guidance = self._rows.pop(row).request.guidance
        if isinstance(guidance, Judging):
            guidance.guide.forget(row)
