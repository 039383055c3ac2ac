"""What the best editor does, against every way of editing."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.engine.edit.policies.oracle import aligned, pointers

TEXT = st.lists(st.integers(0, 3), max_size=5).map(tuple)
REACH = st.integers(0, 3)


def fewest(source, target, reach):
    """Over all ascending assignments of places to tokens of the target, by trying each."""
    best = len(source) + len(target)
    for count in range(min(len(source), len(target)) + 1):
        for places in itertools.combinations(range(len(source)), count):
            for tokens in itertools.combinations(range(len(target)), count):
                cost = len(source) + len(target) - 2 * count
                for place, token in zip(places, tokens, strict=True):
                    near = source[max(place - reach, 0) : place + reach + 1]
                    if source[place] != target[token]:
                        cost += 1 if reach and target[token] in near else 100
                best = min(best, cost)
    return best


@settings(max_examples=150, deadline=None)
@given(TEXT, TEXT, REACH)
def test_there_is_no_way_with_fewer_edits(source, target, reach):
    assert aligned(source, target, reach=reach).edits == fewest(source, target, reach)


@settings(max_examples=150, deadline=None)
@given(TEXT, TEXT)
def test_delete_insert_and_fill_as_the_best_editor_does_gives_the_target(source, target):
    found = aligned(source, target)
    left = tuple(token for token, place in zip(source, found.places, strict=True) if place is not None)
    again = aligned(left, target)
    assert None not in again.places, "nothing more is to be deleted"
    counts = again.counts(len(target))
    assert len(left) + sum(counts) == len(target)
    made, at = [], 0
    for gap, count in enumerate(counts):
        made += target[at : at + count]
        at += count + 1
        made += left[gap : gap + 1]
    assert tuple(made) == target
    deleted = sum(place is None for place in found.places)
    assert found.edits == deleted + sum(counts)


@settings(max_examples=150, deadline=None)
@given(TEXT, TEXT, st.integers(1, 3))
def test_moves_lead_to_a_text_that_only_lacks_something(source, target, reach):
    found = aligned(source, target, reach=reach)
    moves = pointers(source, target, found, reach=reach)
    assert all(step is None or abs(step) <= reach for step in moves)
    moved = tuple(source[at + step] for at, step in enumerate(moves) if step is not None)
    after = aligned(moved, target)
    assert None not in after.places
    changed = sum(step != 0 for step in moves)
    assert found.edits == changed + after.edits


def test_what_stands_first_is_kept_and_what_is_missing_is_told_before_what_follows():
    found = aligned((1, 2, 1, 2, 3), (1, 2, 3))
    assert found.places == (0, 1, None, None, 2)
    assert aligned((1, 9, 3), (1, 2, 2, 3)).counts(4) == (0, 0, 2, 0)
    swapped = aligned((1, 2), (2, 1), reach=1)
    assert pointers((1, 2), (2, 1), swapped, reach=1) == (1, -1)
