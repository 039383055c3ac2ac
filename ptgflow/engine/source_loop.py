"""What loops share whose rows have places behind a prompt, and ask one source of predictions for them."""

from abc import ABC
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from ptgflow.contracts.settings import Sampling
from ptgflow.diagnostics.codes.runtime import CANVAS_TOO_LONG, UNKNOWN_TOKEN
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.rounds import RowId
from ptgflow.engine.row_loop import Asked, KeptRow, RowLoop
from ptgflow.engine.sampling import unknown_tokens
from ptgflow.errors import RunError

AskT = TypeVar("AskT")
AskT_co = TypeVar("AskT_co", covariant=True)
FoundT = TypeVar("FoundT")
FoundT_co = TypeVar("FoundT_co", covariant=True)
RequestT = TypeVar("RequestT", bound="Placed")
RowT = TypeVar("RowT", bound="PlacedRow[Any]")


class Placed(Asked, Protocol):
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


class PlacedRow(KeptRow, Protocol[AskT_co]):
    """The state of such a request between rounds."""

    def ask(self, row: int) -> AskT_co:
        """What this round needs of the source, of its row `row`."""
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


class SourceLoop(RowLoop[RequestT, FoundT, RowT], ABC, Generic[RequestT, AskT, FoundT, RowT]):
    """One model pass a round, with one source."""

    def __init__(self, model: LoadedModel, source: Source[AskT, FoundT], *, max_rows: int) -> None:
        super().__init__(model, max_rows=max_rows)
        self._source = source
        self._numbers: dict[RowId, int] = {}
        """Of rows in work, their numbers with the source."""

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
        return super().admit(request)

    def _tokens(self, request: RequestT) -> int:
        return len(request.prompt_ids) + request.size

    def _enter(self, row: RowId) -> None:
        """Tell the source of a row."""
        request = self._requests[row]
        self._numbers[row] = self._source.admit(request.prompt_ids, request.size)

    def _release(self, row: RowId) -> None:
        """Let the source forget a row."""
        self._source.free(self._numbers.pop(row))

    def _predicted(self, rows: Sequence[RowId]) -> Sequence[FoundT]:
        """One pass over all rows.

        Raises:
            SlotsFullError: there is no memory for it; no row has changed.
        """
        return self._source.predict([self._rows[one].ask(self._numbers[one]) for one in rows])
