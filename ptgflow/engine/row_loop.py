"""What loops share that work on many rows at once: who is in a pass, who waits, and who goes when."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from ptgflow.diagnostics import Diagnostic
from ptgflow.diagnostics.codes.runtime import BATCH_HALVED, DECODE_LIMIT
from ptgflow.engine.memory import is_out_of_memory
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import Decoded
from ptgflow.engine.rounds import Round, RowId
from ptgflow.errors import RunError

FoundT = TypeVar("FoundT")
RequestT = TypeVar("RequestT", bound="Asked")
RowT = TypeVar("RowT", bound="KeptRow")


class Asked(Protocol):
    """A request of any kind."""

    @property
    def visible(self) -> bool:
        """Whether the text is part of the answer."""
        ...


class KeptRow(Protocol):
    """The state of a request between rounds."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        ...

    def decoded(self) -> Decoded:
        """The result of a row that has finished."""
        ...


class RowLoop(ABC, Generic[RequestT, FoundT, RowT]):
    """Works on at most `max_rows` rows in a pass; more wait, first come, first served.

    What a row becomes does not depend on which others are there.
    """

    def __init__(self, model: LoadedModel, *, max_rows: int) -> None:
        assert max_rows >= 1, "a loop has room for at least one row"
        self._model = model
        self._max_rows = max_rows
        self._next = 0
        self._passes = 0
        self._waiting: deque[RowId] = deque()
        self._active: list[RowId] = []
        self._requests: dict[RowId, RequestT] = {}
        self._rows: dict[RowId, RowT] = {}
        self._warnings: list[Diagnostic] = []
        """To be told with the next round."""

    @abstractmethod
    def _opened(self, request: RequestT) -> RowT:
        """A row in its first state.

        Raises:
            RunError: what is asked cannot be done.
        """

    @abstractmethod
    def _tokens(self, request: RequestT) -> int:
        """How many tokens a pass over its row reads, where nothing of it is kept."""

    def _enter(self, row: RowId) -> None:
        """A row is worked on from now on."""

    def _release(self, row: RowId) -> None:
        """A row is worked on no more, for now or for good."""

    @abstractmethod
    def _predicted(self, rows: Sequence[RowId]) -> Sequence[FoundT]:
        """One pass over all rows.

        Raises:
            SlotsFullError: there is no memory for it; no row has changed.
        """

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
            RunError: what is asked cannot be done.
        """
        row = self._opened(request)
        row_id = RowId(self._next)
        self._next += 1
        self._requests[row_id] = request
        self._rows[row_id] = row
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
            row = self._waiting.popleft()
            self._active.append(row)
            self._enter(row)

    def _pause(self, row: RowId) -> None:
        self._active.remove(row)
        self._release(row)

    def _make_room(self, rows: list[RowId], error: Exception, failed: dict[RowId, Exception]) -> list[Diagnostic]:
        """Go on with half of the rows; the others wait. One row alone fails."""
        if len(rows) <= 1:
            for one in rows:
                failed[one] = self._too_large(one, error)
                self._pause(one)
            return []
        self._max_rows = max(len(rows) // 2, 1)
        for one in reversed(rows[self._max_rows :]):
            self._pause(one)
            self._waiting.appendleft(one)
        return [BATCH_HALVED(rows=len(rows), fewer=self._max_rows, model=self._model.name)]

    def _too_large(self, row: RowId, cause: Exception) -> RunError:
        """What ends a row that there is no memory for, even alone."""
        tokens = self._tokens(self._requests[row])
        found = RunError([DECODE_LIMIT(rows=1, tokens=tokens, model=self._model.name)])
        found.__cause__ = cause
        return found

    def _leave(self, row: RowId) -> None:
        if row in self._waiting:
            self._waiting.remove(row)
        if row in self._active:
            self._pause(row)
        del self._rows[row], self._requests[row]
