"""The loop that writes text left to right: propose, run the target once over all rows, accept, commit.

Plain autoregressive decoding is the case in which nothing is proposed. Rows join and leave at any round.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, final

from ptgflow.diagnostics import Diagnostic
from ptgflow.diagnostics.codes.runtime import BATCH_HALVED, DECODE_LIMIT
from ptgflow.engine.costs.widths import WidthPolicy
from ptgflow.engine.head_watch import HeadWatch
from ptgflow.engine.member import Member
from ptgflow.engine.memory import is_out_of_memory
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.prefixes import shared_beginning
from ptgflow.engine.proposing import ALL, Proposing
from ptgflow.engine.request import Decoded, DecodeRequest
from ptgflow.engine.rounds import Round, RowId, Work
from ptgflow.engine.slots import RowInput, SlotsFullError
from ptgflow.engine.teaching import taps_of, teach
from ptgflow.engine.verify import Block, Question, judge
from ptgflow.errors import RunError

CHUNK: Final = 512
"""Most tokens of prompts that are read in one pass: rows that write are held up no longer than that takes."""


@final
class DecodeLoop:
    """Decodes rows of one model in a batch of at most `max_rows`; more wait for their turn, first come, first served.

    A pass is over the new tokens of all rows that write, and over as much as fits of the prompts of those that have
    just joined. Rows that begin alike read what they share once. After an error of the model itself the rows that were
    there are still there: `cancel` those that shall not go on.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        max_rows: int,
        widths: WidthPolicy | None = None,
        memory: int | None = None,
        chunk: int = CHUNK,
    ) -> None:
        """Make an empty loop.

        Args:
            model: the target.
            max_rows: most rows in a pass.
            widths: how many proposals are verified; None: all that drafters make.
            memory: most bytes for keys and values; None: no bound.
            chunk: most tokens of prompts in a pass.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model whose keys and values cannot be kept by position.
        """
        assert max_rows >= 1, "a loop has room for at least one row"
        assert chunk >= 1, "a pass reads something"
        self._model = model
        self._memory = memory
        self._pass = model.open_pass(budget=memory)
        self._max_rows = max_rows
        self._chunk = chunk
        self._proposing = Proposing(widths or ALL)
        self._watch = HeadWatch()
        self._next = 0
        self._passes = 0
        self._waiting: deque[RowId] = deque()
        self._active: list[RowId] = []
        self._members: dict[RowId, Member] = {}
        self._warnings: list[Diagnostic] = []

    @property
    def idle(self) -> bool:
        """Whether no row is there, active or waiting."""
        return not self._members

    def admit(self, request: DecodeRequest) -> RowId:
        """Take in a row; it is worked on from the next round that has room.

        Raises:
            RunError: EMPTY_PROMPT, PROMPT_TOO_LONG or UNKNOWN_TOKEN.
        """
        self._model.check_prompt(len(request.prompt_ids))
        row_id = RowId(self._next)
        member = Member(row_id, request, self._model, self._proposing.new_record())
        self._next += 1
        self._members[row_id] = member
        self._waiting.append(row_id)
        return row_id

    def cancel(self, row: RowId) -> None:
        """Drop a row that is waiting or active, with what it has written."""
        assert row in self._members, "only a row that has not finished can be cancelled"
        if row in self._waiting:
            self._waiting.remove(row)
        self._leave([row])

    def round(self) -> Round:
        """Run one model pass and settle what it shows."""
        assert not self.idle, "a round needs a row"
        failed: dict[RowId, Exception] = {}
        while True:
            while self._waiting and len(self._active) < self._max_rows:
                self._active.append(self._waiting.popleft())
            try:
                work = self._gather(failed)
                taps = taps_of(self._members[one] for one in self._active)
                tapped = self._pass.tapped(work.inputs, taps) if work.inputs else None
                break
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                self._make_room(error, failed)
        finished: dict[RowId, Decoded] = {}
        settled: dict[RowId, str] = {}
        if tapped is not None:
            self._passes += 1
            asked = [at for at, proposal in enumerate(work.proposals) if proposal is not None]
            blocks = dict(zip(asked, judge(tapped.logits, [self._question(work, at) for at in asked]), strict=True))
            kept = self._settle(work, blocks, finished, settled)
            teach([self._members[one] for one in work.rows], work.inputs, kept, tapped, taps)
            for row_id in work.sharing:
                self._members[row_id].row.see(self._passes)
        self._hand_over(finished)
        self._leave([*finished, *failed])
        warnings, self._warnings = tuple(self._warnings), []
        return Round(
            number=self._passes,
            rows=(*work.rows, *work.sharing),
            finished=finished,
            failed=failed,
            settled=settled,
            warnings=warnings,
        )

    def _gather(self, failed: dict[RowId, Exception]) -> Work:
        """What each active row brings: the next stretch of its prompt, or its last token and proposals."""
        work = Work()
        left = self._chunk
        cache = self._pass.cache
        for row_id in [one for one in self._active if one not in failed]:
            member = self._members[row_id]
            if member.slot is None and not self._place(row_id, member):
                work.sharing.append(row_id)
                continue
            assert member.slot is not None, "the row has a place"
            unread = member.row.context[cache.length(member.slot) :]
            if len(unread) > 1 and not left:
                continue
            stretch = tuple(unread[:left]) if len(unread) > 1 else tuple(unread)
            left -= len(stretch) if len(unread) > 1 else 0
            work.rows.append(row_id)
            work.inputs.append(RowInput(row=member.slot, tokens=stretch, wanted=len(stretch) == len(unread)))
            work.proposals.append(None)
        writing = [at for at, one in enumerate(work.inputs) if one.wanted]
        proposals = self._proposing.proposals(
            [self._members[work.rows[at]] for at in writing],
            cache,
            reading=sum(len(one.tokens) for one in work.inputs),
        )
        for at, proposal in zip(writing, proposals, strict=True):
            if isinstance(proposal, Exception):
                failed[work.rows[at]] = proposal
            else:
                work.proposals[at] = proposal
                one = work.inputs[at]
                work.inputs[at] = RowInput(row=one.row, tokens=one.tokens, tree=proposal.tree)
        kept = [at for at, row_id in enumerate(work.rows) if row_id not in failed]
        return Work(
            [work.rows[at] for at in kept],
            [work.inputs[at] for at in kept],
            [work.proposals[at] for at in kept],
            work.sharing,
        )

    def _place(self, row_id: RowId, member: Member) -> bool:
        """Give a row its place in the cache, with what it shares with another; False while it waits for that."""
        cache = self._pass.cache
        shared = member.shared
        if shared is None and not member.looked:
            member.looked = True
            before = self._active[: self._active.index(row_id)]
            shared = member.shared = shared_beginning(
                member.row.context,
                {
                    other: self._members[other].row.context
                    for other in before
                    # What its drafters know of the beginning is copied, too.
                    if set(map(id, member.row.request.joint)) <= set(map(id, self._members[other].row.request.joint))
                },
            )
        if shared is not None:
            other = self._members[RowId(shared.row)]
            if other.slot is None or cache.length(other.slot) < shared.length:
                return False
            member.slot, member.shared = cache.fork(other.slot, shared.length), None
            for joint in member.row.request.joint:
                joint.fork(row_id, other.number, shared.length)
        else:
            member.slot = cache.admit()
        return True

    def _question(self, work: Work, at: int) -> Question:
        member, proposal = self._members[work.rows[at]], work.proposals[at]
        assert proposal is not None, "only rows that write are judged"
        row = member.row
        constraint = row.request.constraint
        allowed = None if constraint is None else constraint.allowed(row.answer).to(self._model.device)
        return Question(
            request=row.request, proposal=proposal, history=member.history, written=row.written, allowed=allowed
        )

    def _settle(
        self, work: Work, blocks: Mapping[int, Block], finished: dict[RowId, Decoded], settled: dict[RowId, str]
    ) -> dict[int, Sequence[int]]:
        """Take in what was judged; for each slot which of its new tokens stay."""
        kept: dict[int, Sequence[int]] = {}
        for at, (row_id, given, proposal) in enumerate(zip(work.rows, work.inputs, work.proposals, strict=True)):
            member, read = self._members[row_id], len(given.tokens)
            if proposal is None:
                member.row.see(self._passes)
                kept[given.row] = range(read)
                continue
            block = blocks[at]
            self._proposing.learn(member, proposal, block)
            self._warnings += self._watch.see(member, block)
            text = member.row.settle(self._passes, proposal, block)
            if text and member.row.request.visible:
                settled[row_id] = text
            if member.row.finish_reason is not None:
                finished[row_id] = member.row.decoded()
                kept[given.row] = range(read)
            else:
                member.history.extend(block.tokens)
                kept[given.row] = (*range(read), *(read + node for node in block.path))
        self._pass.cache.commit(kept)
        return kept

    def _hand_over(self, finished: Mapping[RowId, Decoded]) -> None:
        """Let rows that wait for the beginning of one that has ended copy it before it leaves."""
        for row_id in self._active:
            member = self._members[row_id]
            if member.shared is not None and member.shared.row in finished:
                try:
                    self._place(row_id, member)
                except SlotsFullError:
                    member.shared = None  # It reads for itself when there is room.

    def _make_room(self, error: Exception, failed: dict[RowId, Exception]) -> None:
        """Go on with half of the rows; the others wait, and read again what they have. One row alone fails."""
        rows = [one for one in self._active if one not in failed]
        if len(rows) <= 1:
            tokens = max((len(self._members[one].row.context) for one in rows), default=0)
            found = RunError([DECODE_LIMIT(rows=len(rows), tokens=tokens, model=self._model.name)])
            found.__cause__ = error
            failed.update(dict.fromkeys(rows, found))
            self._forget(rows)
            return
        self._max_rows = max(len(rows) // 2, 1)
        self._warnings.append(BATCH_HALVED(rows=len(rows), fewer=self._max_rows, model=self._model.name))
        self._waiting.extendleft(reversed(rows[self._max_rows :]))
        if not isinstance(error, SlotsFullError):
            # The system, and not our budget, had no memory: nobody knows what was written. All rows read again.
            self._forget(self._active)
            self._pass = self._model.open_pass(budget=self._memory)
        self._forget(rows[self._max_rows :])
        self._active = [one for one in self._active if one not in self._waiting]

    def _forget(self, rows: Sequence[RowId]) -> None:
        """Let go of the keys and values of rows, and of what others hoped to copy from them."""
        for row_id in rows:
            member = self._members[row_id]
            if member.slot is not None:
                self._pass.cache.free(member.slot)
                for joint in member.row.request.joint:
                    joint.forget(row_id)
            member.slot, member.looked = None, False
        gone = set(rows)
        for member in self._members.values():
            if member.shared is not None and member.shared.row in gone:
                member.shared = None

    def _leave(self, gone: Sequence[RowId]) -> None:
        self._forget(gone)
        self._active = [row_id for row_id in self._active if row_id not in gone]
        for row_id in gone:
            del self._members[row_id]
