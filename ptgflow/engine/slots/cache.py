"""A key-value cache in which every row has its own length: rows join, fork, are cut back and leave at any time.

The token at position p of a row has its keys and values in slot p. The new tokens of a pass stand in the slots behind
the row's length, the nodes of a token tree one after the other; `commit` keeps some of them and moves those into place.
What lies at and behind a row's length is scratch: it is written again before any query can reach it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, final

from ptgflow.engine.memory import give_back
from ptgflow.engine.slots.fixed import FixedPlacement
from ptgflow.engine.slots.placement import NewTokens, Placement, groups_of
from ptgflow.engine.slots.row_input import RowInput
from ptgflow.engine.slots.storage import STEP, Bucket, KeyValueShape, capacity_for, power_of_two

Layout = Literal["ragged", "one", "fixed"]
"""Which rows share a bucket: those of one capacity (`ragged`); or all, in a bucket of the capacity that the longest
needs, so that a pass over any rows that lie together is one group (`one`); all, and sizes are powers of two, so that
few shapes ever occur (`fixed`)."""


class SlotsFullError(MemoryError):
    """The memory budget does not suffice; nothing was changed."""


@dataclass(slots=True)
class _Row:
    length: int
    written: int
    bucket: Bucket


@final
class SlotCache:
    """Keys and values of all rows, in buckets by capacity.

    One pass: `begin`, the network, then `commit` of what stays. `admit`, `fork`, `rollback` and `free` may be called
    between passes.
    """

    def __init__(
        self, shape: KeyValueShape, *, budget: int | None = None, step: int = STEP, layout: Layout = "ragged"
    ) -> None:
        """Make an empty cache.

        Args:
            shape: what one token takes.
            budget: most bytes; None: no bound.
            step: the smallest capacity.
            layout: which rows share a bucket.
        """
        self.shape: Final = shape
        self.budget = budget
        self._step = step
        self._layout: Final = layout
        self._buckets: dict[int, Bucket] = {}
        self._nowhere: Final = Bucket(shape, 0)
        """Where rows are that no pass has written yet: they need no memory."""
        self._rows: dict[int, _Row] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._rows)

    def length(self, row: int) -> int:
        """Valid slots of a row."""
        return self._rows[row].length

    @property
    def bytes_held(self) -> int:
        """Bytes of memory that the cache has now."""
        return sum(bucket.bytes_with(bucket.room) for bucket in self._buckets.values())

    @property
    def bytes_live(self) -> int:
        """Bytes of the valid slots alone."""
        return sum(row.length for row in self._rows.values()) * self.shape.bytes_per_slot

    def admit(self) -> int:
        """Add an empty row; its number, which is never used again."""
        self._rows[self._next] = _Row(0, 0, self._nowhere)
        self._next += 1
        return self._next - 1

    def fork(self, row: int, length: int | None = None) -> int:
        """Add a row with the first `length` slots of another (None: all of them), computed once and copied.

        Raises:
            SlotsFullError: there is no memory for it.
        """
        source = self._rows[row]
        length = source.length if length is None else length
        assert 0 <= length <= source.length, "a fork shares what is valid"
        new = self.admit()
        if not length:
            return new
        try:
            self._reserve({new: length})
        except SlotsFullError:
            del self._rows[new]
            raise
        made = self._rows[new]
        at, origin = made.bucket.members.index(new), source.bucket.members.index(row)
        made.bucket.copy(source.bucket, origin, at, length)
        made.length = made.written = length
        return new

    def begin(self, inputs: Sequence[RowInput]) -> Placement:
        """Place a pass over rows, each listed once.

        Raises:
            SlotsFullError: there is no memory for the new tokens.
        """
        new = self._new(inputs)
        self._reserve({row: brought.end for row, brought in new.items()})
        groups = groups_of([self._buckets[capacity] for capacity in sorted(self._buckets)], new)
        starts: dict[int, int] = {}
        for group in groups:
            at = group.begin
            for row, brought in zip(group.bucket.members[group.first : group.last], group.rows, strict=True):
                starts[row] = at
                at += brought.count
                self._rows[row].written = brought.end
        tensor = self.shape.index
        wanted = [
            at
            for one in inputs
            if one.wanted
            for at in range(starts[one.row] + new[one.row].told, starts[one.row] + new[one.row].count)
        ]
        brought_in_order = [row for group in groups for row in group.rows]
        return Placement(
            groups=groups,
            tokens=tensor([token for row in brought_in_order for token in row.ids]),
            positions=tensor([position for row in brought_in_order for position in row.positions]),
            wanted=tensor(wanted),
            spans=tuple((starts[one.row], new[one.row].count) for one in inputs),
        )

    def begin_fixed(self, inputs: Sequence[RowInput], width: int) -> FixedPlacement:
        """Place a pass over all rows of the one bucket, each of at most `width` new tokens, padded to that.

        Rows that are not among the inputs, and memory without a row, take part and write into scratch.

        Raises:
            SlotsFullError: there is no memory for the new tokens.
        """
        assert self._layout == "fixed", "ragged rows have no shape in common"
        new = self._new(inputs)
        assert all(brought.count <= width for brought in new.values()), "what a row brings fits"
        assert not any(one.again for one in inputs), "a fixed shape begins behind the text"
        placed = [row for bucket in self._buckets.values() for row in bucket.members]
        self._reserve({row: self._rows[row].length + width for row in {*placed, *new}})
        (bucket,) = self._buckets.values()
        for number in bucket.members:
            row = self._rows[number]
            row.written = new[number].end if number in new else row.length
        return FixedPlacement(
            bucket=bucket,
            width=width,
            lengths=tuple(self._rows[row].length for row in bucket.members),
            new={bucket.members.index(row): brought for row, brought in new.items()},
            order=tuple(bucket.members.index(one.row) for one in inputs),
            wanted=tuple(bucket.members.index(one.row) for one in inputs if one.wanted),
        )

    def _new(self, inputs: Sequence[RowInput]) -> dict[int, NewTokens]:
        assert inputs, "a pass is over rows"
        assert len({one.row for one in inputs}) == len(inputs), "a pass lists a row once"
        assert all(one.tokens for one in inputs), "every row of a pass has a token behind its text"
        for one in inputs:
            row = self._rows[one.row]
            assert one.again <= row.written - row.length, "what is not computed again was written by the pass before"
        new = {
            one.row: NewTokens(
                length=self._rows[one.row].length,
                tokens=one.tokens,
                tree=one.tree,
                again=one.again,
                mutual=one.mutual,
            )
            for one in inputs
        }
        assert all(brought.count for brought in new.values()), "every row of a pass brings something new"
        return new

    def commit(self, kept: Mapping[int, Sequence[int]]) -> None:
        """Keep some of the tokens that the last pass wrote into rows, in ascending order, and move them into place.

        Args:
            kept: for each row the new tokens that stay, by their number among the row's new tokens.
        """
        moves: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for number, offsets in kept.items():
            row = self._rows[number]
            assert all(a < b for a, b in zip(offsets, offsets[1:], strict=False)), "tokens are kept in their order"
            assert not offsets or row.length + offsets[-1] < row.written, "only what a pass has written can be kept"
            if offsets and offsets[-1] != len(offsets) - 1:
                start = row.bucket.members.index(number) * row.bucket.capacity + row.length
                sources, targets = moves[row.bucket.capacity]
                for target, offset in enumerate(offsets):
                    if target != offset:
                        sources.append(start + offset)
                        targets.append(start + target)
            row.length += len(offsets)
            row.written = row.length
        for capacity, (sources, targets) in moves.items():
            self._buckets[capacity].move(self.shape.index(sources), self.shape.index(targets))

    def rollback(self, row: int, length: int) -> None:
        """Cut a row back to its first `length` slots."""
        assert 0 <= length <= self._rows[row].length, "a rollback goes back"
        self._rows[row].length = self._rows[row].written = length

    def free(self, row: int) -> None:
        """Let a row leave."""
        gone = self._rows.pop(row)
        if row in gone.bucket.members:
            self._take_out(row, gone.bucket)

    def check(self) -> None:
        """Verify every invariant; for tests, as it reads all keys and values."""
        placed = [row for bucket in self._buckets.values() for row in bucket.members]
        assert len(placed) == len(set(placed)), "a row lies in one bucket"
        assert set(placed) <= set(self._rows), "what lies in a bucket has not left"
        for number, row in self._rows.items():
            assert 0 <= row.length <= row.written <= row.bucket.capacity, "a row is no longer than what was written"
            assert number in placed or not row.written, "a row with tokens has memory"
        for capacity, bucket in self._buckets.items():
            assert bucket.capacity == capacity, "a bucket is found by its capacity"
            assert bucket.members, "an empty bucket gives its memory back"
            bucket.check([self._rows[row].written for row in bucket.members])
            assert all(self._rows[row].bucket is bucket for row in bucket.members), "a row knows its bucket"
        assert self._layout == "ragged" or len(self._buckets) <= 1, "all rows lie together"
        assert self.budget is None or self.bytes_held <= self.budget, "the budget holds"

    def _reserve(self, needs: Mapping[int, int]) -> None:
        """Give every listed row a bucket with so many slots."""
        goals = {row: self._capacity(slots) for row, slots in needs.items()}
        if self._layout != "ragged":
            placed = [row for bucket in self._buckets.values() for row in bucket.members]
            most = max([*goals.values(), *self._buckets])
            goals = dict.fromkeys({*goals, *placed}, most)
        # A row never goes back to a smaller bucket: it would only grow out of it again.
        moving = {row: goal for row, goal in goals.items() if goal > self._rows[row].bucket.capacity}
        if not moving:
            return
        joining: dict[int, list[int]] = defaultdict(list)
        for row, goal in moving.items():
            joining[goal].append(row)
        self._afford(joining)
        for capacity, rows in joining.items():
            bucket = self._buckets.setdefault(capacity, Bucket(self.shape, capacity))
            bucket.reserve(self._room(bucket, len(bucket.members) + len(rows)))
            for number in rows:
                mover = self._rows[number]
                at = bucket.append(number)
                if number in mover.bucket.members:
                    bucket.copy(mover.bucket, mover.bucket.members.index(number), at, mover.written)
                    self._take_out(number, mover.bucket)
                mover.bucket = bucket

    def _capacity(self, slots: int) -> int:
        if self._layout == "fixed":
            return power_of_two(-(-slots // self._step)) * self._step
        return capacity_for(slots, self._step)

    def _room(self, bucket: Bucket | None, rows: int) -> int:
        """For how many rows a bucket has memory when so many are to be in it."""
        if self._layout != "fixed":
            return rows
        room = 0 if bucket is None else bucket.room
        # Rows that come and go do not change the shape: it halves when a quarter of it would do.
        return room if room // 4 < rows <= room else power_of_two(rows)

    def _afford(self, joining: Mapping[int, Sequence[int]]) -> None:
        if self.budget is None:
            return
        growth = 0
        for capacity, rows in joining.items():
            bucket = self._buckets.get(capacity)
            members, room = (len(bucket.members), bucket.room) if bucket is not None else (0, 0)
            extra = max(self._room(bucket, members + len(rows)) - room, 0)
            growth += extra * capacity * self.shape.bytes_per_slot
        if self.bytes_held + growth > self.budget:
            raise SlotsFullError(f"{self.bytes_held + growth} bytes of keys and values, {self.budget} allowed")

    def _take_out(self, row: int, bucket: Bucket) -> None:
        bucket.remove(row)
        if bucket.members:
            bucket.reserve(self._room(bucket, len(bucket.members)))
        else:
            del self._buckets[bucket.capacity]
            give_back()
