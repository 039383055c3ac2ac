"""The slot cache: its invariants under any history, beside a plain list of what each row must hold."""

from dataclasses import replace

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ptgflow.engine.slots import KeyValueShape, RowInput, SlotCache, SlotsFullError
from ptgflow.engine.slots.storage import capacity_for
from ptgflow.engine.trees import EMPTY, TokenTree

STEP = 8
SHAPE = KeyValueShape(layers=2, heads=2, size=3, dtype=torch.float32, device=torch.device("cpu"))


parents = st.integers(0, 6).flatmap(lambda size: st.tuples(*(st.integers(-1, node - 1) for node in range(size))))


def tree(above):
    return TokenTree(tuple(range(100, 100 + len(above))), above)


def written(cache, row):
    """What the first head of the last layer holds in the valid slots of a row."""
    for bucket in cache._buckets.values():
        if row in bucket.members:
            return bucket.layers[-1][bucket.members.index(row), : cache.length(row), 0, 0, 0].tolist()
    return []


def write(place, stamp):
    """Do what a network does: give each new token keys (its stamp) and values (minus that). The next free stamp."""
    for group in place.groups:
        stamps = torch.arange(stamp + group.begin, stamp + group.end, dtype=torch.float32)
        assert len(group.slots) == len(group.columns) == len(set(group.slots.tolist())) == len(stamps)
        for layer in group.bucket.layers:
            flat = layer.view(-1, 2, 2, 3)
            flat[group.slots, 0] = stamps[:, None, None].expand(-1, 2, 3)
            flat[group.slots, 1] = -stamps[:, None, None].expand(-1, 2, 3)
    return stamp + len(place.tokens)


class SlotHistory(RuleBasedStateMachine):
    """Rows join, fork, read, propose trees, are cut back and leave in any order."""

    @initialize(
        layout=st.sampled_from(["ragged", "one", "fixed"]),
        budget=st.sampled_from([None, 60 * STEP * SHAPE.bytes_per_slot]),
    )
    def start(self, layout, budget):
        self.cache = SlotCache(SHAPE, budget=budget, step=STEP, layout=layout)
        self.rows = {}
        self.stamp = 1

    @rule()
    def admit(self):
        row = self.cache.admit()
        assert row not in self.rows
        self.rows[row] = []

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def run_pass(self, data):
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.rows)), min_size=1, unique=True))
        inputs = [
            RowInput(
                row=row,
                tokens=tuple(range(data.draw(st.integers(1, 20)))),
                tree=tree(data.draw(parents)),
                wanted=data.draw(st.booleans()),
            )
            for row in chosen
        ]
        before = self.cache.bytes_held
        try:
            place = self.cache.begin(inputs)
        except SlotsFullError:
            assert self.cache.bytes_held == before
            return
        stamps = self._check_placement(place, inputs, {})
        self.stamp = write(place, self.stamp)
        if data.draw(st.booleans()):
            inputs, stamps = self._grow(data, inputs, stamps)
        kept = {}
        for one in inputs:
            # Some of what was read, or all of it and a path of the tree.
            read = data.draw(st.integers(0, len(one.tokens)))
            node = data.draw(st.integers(-1, len(one.tree) - 1)) if read == len(one.tokens) else -1
            kept[one.row] = (*range(read), *(len(one.tokens) + step for step in one.tree.path(node)))
            self.rows[one.row] += [stamps[one.row][offset] for offset in kept[one.row]]
        self.cache.commit(kept)

    def _grow(self, data, inputs, stamps):
        """Another level for some of the trees; all inputs as they are then, and the stamps of each row's tokens."""
        grown = []
        for one in data.draw(st.lists(st.sampled_from(inputs), min_size=1, unique=True)):
            size = len(one.tree)
            more = [data.draw(st.integers(-1, size + new - 1)) for new in range(data.draw(st.integers(1, 4)))]
            again = len(one.tokens) + size
            grown.append(replace(one, tree=tree((*one.tree.parents, *more)), again=again))
        try:
            place = self.cache.begin(grown)
        except SlotsFullError:
            return inputs, stamps
        found = self._check_placement(place, grown, stamps)
        self.stamp = write(place, self.stamp)
        kept = [one for one in inputs if one.row not in found]
        return kept + grown, stamps | found

    def _check_placement(self, place, inputs, before):
        """Positions, wanted lines and visible slots of each new token; the stamps of all tokens of each row."""
        stamps, at, wanted, flat = {}, 0, [], place.tokens.tolist()
        for group in place.groups:
            assert group.begin == at
            seen = group.visible()
            assert seen.any(dim=-1).all(), "a column of padding that sees nothing would become NaN"
            members = group.bucket.members[group.first : group.last]
            for number, (row, new) in enumerate(zip(members, group.rows, strict=True)):
                one = next(one for one in inputs if one.row == row)
                length, read = len(self.rows[row]), len(one.tokens)
                stamps[row] = [*before.get(row, ()), *range(self.stamp + at, self.stamp + at + new.count)]
                assert len(stamps[row]) == read + len(one.tree)
                assert flat[at : at + new.count] == [*one.tokens, *one.tree.tokens][one.again :]
                for order in range(one.again, read + len(one.tree)):
                    above = one.tree.path(order - read) if order >= read else ()
                    leads = {*range(length + min(order + 1, read)), *(length + read + node for node in above)}
                    column = group.width - new.count + order - one.again
                    assert set(seen[number, column].nonzero()[:, 0].tolist()) == leads
                    assert place.positions[at + order - one.again] == len(leads) - 1
                at += new.count
        for one in inputs:
            if one.wanted:
                lines = stamps[one.row][len(one.tokens) - 1 :]
                wanted += (stamp - self.stamp for stamp in lines if stamp >= self.stamp)
        assert place.wanted.tolist() == wanted
        return stamps

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def fork(self, data):
        row = data.draw(st.sampled_from(sorted(self.rows)))
        length = data.draw(st.one_of(st.none(), st.integers(0, len(self.rows[row]))))
        try:
            new = self.cache.fork(row, length)
        except SlotsFullError:
            return
        self.rows[new] = self.rows[row][:length]

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def rollback(self, data):
        row = data.draw(st.sampled_from(sorted(self.rows)))
        length = data.draw(st.integers(0, len(self.rows[row])))
        self.cache.rollback(row, length)
        del self.rows[row][length:]

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def free(self, data):
        row = data.draw(st.sampled_from(sorted(self.rows)))
        self.cache.free(row)
        del self.rows[row]

    @invariant()
    def holds(self):
        self.cache.check()
        assert len(self.cache) == len(self.rows)
        assert self.cache.bytes_live == sum(map(len, self.rows.values())) * SHAPE.bytes_per_slot
        for row, stamps in self.rows.items():
            assert self.cache.length(row) == len(stamps)
            assert written(self.cache, row) == stamps


TestSlotHistory = SlotHistory.TestCase
TestSlotHistory.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_capacities_come_in_steps_that_are_at_most_a_quarter_too_much():
    for slots in range(1, 5000):
        capacity = capacity_for(slots)
        assert slots <= capacity
        assert capacity - slots < max(128, slots / 4)
    assert len({capacity_for(slots) for slots in range(1, 8193)}) == 20


def test_memory_is_given_back_when_rows_leave_and_moves_with_those_that_grow():
    cache = SlotCache(SHAPE, step=STEP)
    rows = [cache.admit() for _ in range(8)]
    assert cache.bytes_held == 0
    cache.begin([RowInput(row=row, tokens=(1,) * 5) for row in rows])
    cache.commit({row: range(5) for row in rows})
    assert cache.bytes_held == 8 * STEP * SHAPE.bytes_per_slot
    cache.begin([RowInput(row=row, tokens=(1,) * 5) for row in rows])
    assert cache.bytes_held == 8 * 2 * STEP * SHAPE.bytes_per_slot, "all moved, and nothing stayed behind"
    for left, row in enumerate(rows[:-1]):
        cache.free(row)
        assert cache.bytes_held <= max((8 - left - 1) * 1.25, 8 - left) * 2 * STEP * SHAPE.bytes_per_slot
    cache.free(rows[-1])
    assert cache.bytes_held == 0


def test_a_window_counts_positions_and_not_slots():
    """Two siblings and a child of the second: with a window of two, each sees itself and what stands one before it."""
    cache = SlotCache(SHAPE, step=STEP)
    row = cache.admit()
    place = cache.begin([RowInput(row=row, tokens=(1, 2), tree=TokenTree((3, 4, 5), (-1, -1, 1)))])
    seen = place.groups[0].visible(2)[0]
    assert [set(line.nonzero()[:, 0].tolist()) for line in seen] == [{0}, {0, 1}, {1, 2}, {1, 3}, {3, 4}]


def test_what_no_pass_has_written_cannot_be_kept():
    cache = SlotCache(SHAPE)
    row = cache.admit()
    with pytest.raises(AssertionError, match="written"):
        cache.commit({row: (0,)})
    with pytest.raises(AssertionError, match="goes back"):
        cache.rollback(row, 1)
    with pytest.raises(AssertionError, match="shares what is valid"):
        cache.fork(row, 1)
    with pytest.raises(AssertionError, match="has a token"):
        cache.begin([RowInput(row=row, tokens=(), tree=EMPTY)])
    with pytest.raises(AssertionError, match="lists a row once"):
        cache.begin([RowInput(row=row, tokens=(1,)), RowInput(row=row, tokens=(1,))])
