"""The loop that writes text left to right: propose, run the target once over all rows, accept, commit.

Plain autoregressive decoding is the case in which nothing is proposed. Rows join and leave at any round.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NewType, final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.diagnostics.codes.runtime import DECODE_LIMIT
from ptgflow.engine.forward import ModelPass
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import Decoded, DecodeRequest
from ptgflow.engine.row import Row
from ptgflow.engine.verify import judge
from ptgflow.errors import RunError

RowId = NewType("RowId", int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one pass of the loop brought."""

    number: int
    """Number of the pass, counted from 1 over the life of the loop."""
    rows: tuple[RowId, ...]
    """Rows that were in the pass."""
    finished: Mapping[RowId, Decoded]
    """Rows that have ended, with what became of them."""
    settled: Mapping[RowId, str]
    """Text that can change no more and was not told before, for visible rows that have some. All of a finished row's
    text has been told with its last round."""


@final
class DecodeLoop:
    """Decodes rows of one model in a batch of at most `max_rows`; more wait for their turn, first come, first served.

    A pass is either over the prompts of all rows that have just joined, or over the new tokens of all rows. After an
    error the rows that were there are still there: `cancel` those that shall not go on.
    """

    def __init__(self, model: LoadedModel, *, max_rows: int) -> None:
        """Make an empty loop.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model whose keys and values cannot be kept by position.
        """
        assert max_rows >= 1, "a loop has room for at least one row"
        self._model = model
        self._pass = ModelPass(model)
        self._max_rows = max_rows
        self._next = 0
        self._passes = 0
        self._waiting: deque[RowId] = deque()
        self._active: list[RowId] = []
        # The order of `_active` is that of the rows in the slot cache, and rows with an unread prompt come last.
        self._rows: dict[RowId, Row] = {}

    @property
    def idle(self) -> bool:
        """Whether no row is there, active or waiting."""
        return not self._rows

    def admit(self, request: DecodeRequest) -> RowId:
        """Take in a row; it is worked on from the next round that has room.

        Raises:
            RunError: EMPTY_PROMPT or PROMPT_TOO_LONG.
        """
        self._model.check_prompt(len(request.prompt_ids))
        row_id = RowId(self._next)
        self._next += 1
        self._rows[row_id] = Row(request, self._model.codec, self._model.context_length)
        self._waiting.append(row_id)
        return row_id

    def cancel(self, row: RowId) -> None:
        """Drop a row that is waiting or active, with what it has written."""
        assert row in self._rows, "only a row that has not finished can be cancelled"
        if row in self._active:
            self._leave([row])
        else:
            self._waiting.remove(row)
            del self._rows[row]

    def round(self) -> Round:
        """Run one model pass and settle what it shows.

        Raises:
            RunError: DECODE_LIMIT, when the memory does not suffice.
        """
        assert not self.idle, "a round needs a row"
        while self._waiting and len(self._active) < self._max_rows:
            self._active.append(self._waiting.popleft())
            self._pass.cache.admit()
        lengths = self._pass.cache.lengths
        first = lengths.index(0) if 0 in lengths else 0
        rows = [self._rows[row_id] for row_id in self._active[first:]]
        drafts = [row.propose() for row in rows]
        logits = self._run(first, rows, drafts)
        self._passes += 1
        finished: dict[RowId, Decoded] = {}
        settled: dict[RowId, str] = {}
        members = tuple(self._active[first:])
        for at, (row_id, row, draft) in enumerate(zip(members, rows, drafts, strict=True)):
            read = len(row.pending)
            block = judge(row.request, logits[at, logits.shape[1] - len(draft) - 1 :], row.context, draft)
            text = row.settle(self._passes, draft, block)
            self._pass.cache.commit(first + at, read + block.accepted)
            if text and row.request.visible:
                settled[row_id] = text
            if row.finish_reason is not None:
                finished[row_id] = row.decoded()
        self._leave(list(finished))
        return Round(number=self._passes, rows=members, finished=finished, settled=settled)

    def _run(
        self, first: int, rows: Sequence[Row], drafts: Sequence[tuple[int, ...]]
    ) -> Float[Tensor, "rows keep vocab"]:
        keep = max(map(len, drafts)) + 1
        try:
            return self._pass(first, [row.pending + draft for row, draft in zip(rows, drafts, strict=True)], keep)
        except (MemoryError, RuntimeError) as error:
            if not _is_memory(error):
                raise
            tokens = max(len(row.context) for row in rows)
            finding = DECODE_LIMIT(rows=len(self._active), tokens=tokens, model=self._model.name)
            raise RunError([finding]) from error

    def _leave(self, gone: Sequence[RowId]) -> None:
        self._pass.cache.remove([self._active.index(row_id) for row_id in gone])
        self._active = [row_id for row_id in self._active if row_id not in gone]
        for row_id in gone:
            del self._rows[row_id]


def _is_memory(error: Exception) -> bool:
    """Whether it is for want of memory; on a CPU torch says so only in the words of a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
