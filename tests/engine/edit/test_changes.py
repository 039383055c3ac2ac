"""Changes to texts: what is applied can be undone, and what was written is followed through later rounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptgflow.engine.edit.changes import Change, applied, between, carried, followed, undone

TEXTS = st.text(alphabet="ab ,.\u00e9\U0001f600\n", max_size=30)


def change(begin, old, new, score=0.0):
    return Change(begin=begin, old=old, new=new, by="test", why="", score=score)


@st.composite
def rounds(draw, text):
    """Ascending changes of a text, some of them insertions."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    found = []
    for begin, end in zip(cuts[::2], cuts[1::2], strict=False):
        found.append(change(begin, text[begin:end], draw(st.text(alphabet="xyz", max_size=3)), -float(len(found) + 1)))
    return tuple(found)


@given(st.data(), TEXTS)
def test_a_round_can_be_undone(data, text):
    changes = data.draw(rounds(text))
    assert undone(applied(text, changes), changes) == text


@given(TEXTS, TEXTS)
def test_a_difference_turns_one_text_into_the_other(before, after):
    changes = between(before, after, by="test", why="")
    assert applied(before, changes) == after
    assert all(one.old != one.new for one in changes)
    assert not changes if before == after else changes


@given(st.data(), TEXTS)
def test_marks_are_exactly_what_rounds_wrote(data, text):
    """Each character carries who wrote it: a plain model of the same."""
    owners: list[float | None] = [None] * len(text)
    marks = ()
    for _ in range(3):
        changes = data.draw(rounds(text))
        after: list[float | None] = []
        at = 0
        for one in changes:
            after += owners[at : one.begin] + [one.score] * len(one.new)
            at = one.end
        owners = after + owners[at:]
        text, marks = applied(text, changes), followed(marks, changes)
    found: list[float | None] = [None] * len(text)
    for mark in marks:
        for place in range(mark.begin, mark.end):
            found[place] = mark.score
    assert found == owners


def test_changes_that_do_not_belong_to_a_text_are_refused():
    with pytest.raises(ValueError, match="is not what stands"):
        applied("abc", [change(0, "b", "x")])
    with pytest.raises(ValueError, match="lies before"):
        applied("abc", [change(1, "b", "x"), change(0, "a", "y")])
    with pytest.raises(ValueError, match="is not what stands"):
        undone("abc", [change(0, "a", "x")])


@given(st.lists(st.integers(0, 3), max_size=8), st.lists(st.integers(0, 3), max_size=8))
def test_what_belongs_to_a_token_goes_with_it_in_order(before, after):
    found = carried(before, after, tuple(range(len(before))), -1)
    assert len(found) == len(after)
    places = [place for place in found if place >= 0]
    assert places == sorted(set(places))
    assert all(place < 0 or before[place] == token for place, token in zip(found, after, strict=True))
    assert carried(before, before, tuple(range(len(before))), -1) == tuple(range(len(before)))
    assert carried(before, [*before, *after], tuple(range(len(before))), -1)[: len(before)] == tuple(range(len(before)))
