"""What loops share whose rows ask one source of predictions: who is in a pass, who waits, and who goes when."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from ptgflow.contracts.settings import Sampling
from ptgflow.diagnostics import Diagnostic
from ptgflow.diagnostics.codes.runtime import BATCH_HALVED, CANVAS_TOO_LONG, DECODE_LIMIT, UNKNOWN_TOKEN
from ptgflow.engine.memory import is_out_of_memory
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import Decoded
from ptgflow.engine.rounds import Round, RowId
from ptgflow.engine.sampling import unknown_tokens
from ptgflow.errors import RunError

AskT = TypeVar("AskT")
AskT_co = TypeVar("AskT_co", covariant=True)
FoundT = TypeVar("FoundT")
FoundT_co = TypeVar("FoundT_co", covariant=True)
RequestT = TypeVar("RequestT", bound="Placed")
RowT = TypeVar("RowT", bound="PlacedRow[Any]")


class Placed(Protocol):
    """A request for places behind a prompt."""

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """What is read before them."""
        ...

    @property
    def size(self) -> int:
        """How many."""
        ...

    @property
    def sampling(self) -> Sampling:
        """How tokens are chosen."""
        ...

    @property
    def visible(self) -> bool:
        """Whether the text is part of the answer."""
        ...


class PlacedRow(Protocol[AskT_co]):
    """The state of a request between rounds."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        ...

    def ask(self, row: int) -> AskT_co:
        """What this round needs of the source, of its row `row`."""
        ...

    def decoded(self) -> Decoded:
        """The result of a row that has finished."""
        ...


class Source(Protocol[AskT, FoundT_co]):
    """What predicts for many rows at once."""

    def admit(self, prompt: tuple[int, ...], size: int) -> int:
        """A new row: what is read before its places, and how many these are. Its number."""
        ...

    def predict(self, asks: list[AskT]) -> Sequence[FoundT_co]:
        """One model pass. The result of a row must not depend on which others are in it."""
        ...

    def free(self, row: int) -> None:
        """Drop a row."""
        ...


class RowLoop(ABC, Generic[RequestT, AskT, FoundT, RowT]):
    """Works on rows with one source, at most `max_rows` in a pass; more wait, first come, first served.

    One model pass a round. What a row becomes does not depend on which others are there.
    """

    def __init__(self, model: LoadedModel, source: Source[AskT, FoundT], *, max_rows: int) -> None:
        assert max_rows >= 1, "a loop has room for at least one row"
        self._model = model
        self._source = source
        self._max_rows = max_rows
        self._next = 0
        self._passes = 0
        self._waiting: deque[RowId] = deque()
        self._active: dict[RowId, int] = {}
        """Rows in work, and their numbers with the source."""
        self._requests: dict[RowId, RequestT] = {}
        self._rows: dict[RowId, RowT] = {}
        self._warnings: list[Diagnostic] = []
        """To be told with the next round."""

    @abstractmethod
    def _opened(self, request: RequestT) -> RowT:
        """A row in its first state."""

    @abstractmethod
    def _settle(
        self, rows: Sequence[RowId], predicted: Sequence[FoundT], failed: dict[RowId, Exception]
    ) -> dict[RowId, str]:
        """Take in what this pass predicts; of each row the text that is settled now and was not before.

        Rows that fail are put into `failed`.
        """

    @property
    def idle(self) -> bool:
        """Whether no row is there, active or waiting."""
        return not self._rows

    def admit(self, request: RequestT) -> RowId:
        """Take in a request; it is worked on from the next round that has room.

        Raises:
            RunError: EMPTY_PROMPT, PROMPT_TOO_LONG, CANVAS_TOO_LONG or UNKNOWN_TOKEN.
        """
        model, prompt, size = self._model, len(request.prompt_ids), request.size
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
        self._requests[row_id] = request
        self._rows[row_id] = self._opened(request)
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
        warnings, self._warnings = self._warnings, []
        rows: list[RowId] = []
        predicted: Sequence[FoundT] = ()
        while self._waiting or self._active:
            self._fill_up()
            rows = list(self._active)
            try:
                predicted = self._predicted(rows)
                break
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                warnings += self._make_room(rows, error, failed)
                rows = []
        if rows:
            self._passes += 1
        texts = self._settle(rows, predicted, failed)
        settled = {one: text for one, text in texts.items() if text and self._requests[one].visible}
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
            self._enter(self._waiting.popleft())

    def _enter(self, row: RowId) -> None:
        """Tell the source of a row."""
        request = self._requests[row]
        self._active[row] = self._source.admit(request.prompt_ids, request.size)

    def _release(self, row: RowId) -> None:
        """Let the source forget a row."""
        self._source.free(self._active.pop(row))

    def _predicted(self, rows: Sequence[RowId]) -> Sequence[FoundT]:
        """One pass over all rows.

        Raises:
            SlotsFullError: there is no memory for it; no row has changed.
        """
        return self._source.predict([self._rows[one].ask(self._active[one]) for one in rows])

    def _make_room(self, rows: list[RowId], error: Exception, failed: dict[RowId, Exception]) -> list[Diagnostic]:
        """Go on with half of the rows; the others wait. One row alone fails."""
        if len(rows) <= 1:
            for one in rows:
                failed[one] = self._too_large(one, error)
                self._release(one)
            return []
        self._max_rows = max(len(rows) // 2, 1)
        for one in reversed(rows[self._max_rows :]):
            self._release(one)
            self._waiting.appendleft(one)
        return [BATCH_HALVED(rows=len(rows), fewer=self._max_rows, model=self._model.name)]

    def _too_large(self, row: RowId, cause: Exception) -> RunError:
        """What ends a row that there is no memory for, even alone."""
        tokens = len(self._requests[row].prompt_ids) + self._requests[row].size
        found = RunError([DECODE_LIMIT(rows=1, tokens=tokens, model=self._model.name)])
        found.__cause__ = cause
        return found

    def _leave(self, row: RowId) -> None:
        if row in self._waiting:
            self._waiting.remove(row)
        if row in self._active:
            self._release(row)
        del self._rows[row], self._requests[row]
