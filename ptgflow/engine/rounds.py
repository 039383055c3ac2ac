"""What goes into a pass of a decoding loop, and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from ptgflow.diagnostics import Diagnostic
from ptgflow.engine.request import Decoded, Proposal
from ptgflow.engine.slots import RowInput

RowId = NewType("RowId", int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one pass of the loop brought."""

    number: int
    """Number of the pass, counted from 1 over the life of the loop."""
    rows: tuple[RowId, ...]
    """Rows that were in the pass, or for which another one in it read what both begin with."""
    finished: Mapping[RowId, Decoded]
    """Rows that have ended, with what became of them."""
    failed: Mapping[RowId, Exception]
    """Rows that an error ended, with the error; the others go on."""
    settled: Mapping[RowId, str]
    """Text that can change no more and was not told before, for visible rows that have some. All of a finished row's
    text has been told with its last round."""
    warnings: tuple[Diagnostic, ...] = ()


@dataclass(slots=True)
class Work:
    """What goes into one pass, in the order of its rows."""

    rows: list[RowId] = field(default_factory=list[RowId])
    inputs: list[RowInput] = field(default_factory=list[RowInput])
    proposals: list[Proposal | None] = field(default_factory=list[Proposal | None])
    """None: the row only reads on."""
    sharing: list[RowId] = field(default_factory=list[RowId])
    """Rows for which another one reads what both begin with."""
