"""What a worker knows of a loop, whatever it generates."""

from typing import Any, Protocol, runtime_checkable

from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.oneshot.request import OneShotRequest
from ptgflow.engine.request import DecodeRequest
from ptgflow.engine.rounds import Round, RowId

Request = DecodeRequest | CanvasRequest | OneShotRequest
"""One row for a loop."""


@runtime_checkable
class Loop(Protocol):
    """Rows that share a model; one pass a round."""

    @property
    def idle(self) -> bool:
        """Whether no row is there."""
        ...

    def admit(self, request: Any) -> RowId:
        """Take in a row."""
        ...

    def cancel(self, row: RowId) -> None:
        """Drop a row that has not finished."""
        ...

    def round(self) -> Round:
        """Run one pass and settle what it shows."""
        ...
