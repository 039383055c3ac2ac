"""Marks of edits: what is shown as kept and added is the text, and as kept and removed what it was before."""

from hypothesis import given
from hypothesis import strategies as st

from ptgflow.engine.edit.changes import Change, applied
from ptgflow.executors.marked import Marked, marked, marked_answer
from ptgflow.executors.result import Result, SegmentRecord, StageRecord


@st.composite
def histories(draw):
    """A text, and rounds of changes of what they make of it."""
    text = draw(st.text("abc ", max_size=12))
    rounds = []
    now = text
    for _ in range(draw(st.integers(0, 3))):
        cuts = sorted(draw(st.lists(st.integers(0, len(now)), min_size=0, max_size=6)))
        pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
        changes = tuple(
            Change(begin=a, old=now[a:b], new=draw(st.text("xyz", max_size=3)), by="e", why="")
            for a, b in dict.fromkeys(pairs)
        )
        changes = tuple(
            one
            for at, one in enumerate(changes)
            if one.old != one.new and (not at or one.begin > changes[at - 1].begin)
        )
        now = applied(now, changes)
        rounds.append(changes)
    return text, rounds, now


def shown(pieces, *states):
    return "".join(one.text for one in pieces if one.state in states)


@given(histories())
def test_what_is_marked_is_both_texts(history):
    before, rounds, after = history
    found = marked(after, rounds)
    assert shown(found, "kept", "added") == after
    assert shown(found, "kept", "removed") == before
    assert all(one.state != other.state for one, other in zip(found, found[1:], strict=False))


def record(method, edits=()):
    return StageRecord(name="s", method=method, wall_s=0, rounds=1, tokens_in=0, tokens_out=0, edits=tuple(edits))


def result(text, segments, whole=()):
    return Result(
        id=0,
        recipe="r",
        model="m",
        seed=0,
        prompt="",
        text=text,
        segments=tuple(
            SegmentRecord(index=at, title=None, text=own, finish_reason="stop", stages=stages)
            for at, (own, stages) in enumerate(segments)
        ),
        whole=tuple(whole),
    )


@given(st.lists(histories(), min_size=1, max_size=3), st.data())
def test_edits_of_parts_and_of_the_whole_are_told_together(parts, data):
    leads = [f"{at}. " for at in range(len(parts))]
    merged = "".join(lead + after for lead, (_, _, after) in zip(leads, parts, strict=True))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(merged)), min_size=2, max_size=2, unique=True)))
    change = Change(
        begin=cuts[0], old=merged[cuts[0] : cuts[1]], new=data.draw(st.sampled_from(("", "w"))), by="e", why=""
    )
    final = applied(merged, (change,))
    segments = [(after, (record("mtp/medusa"), record("edit/tagger", rounds))) for _, rounds, after in parts]
    found = marked_answer(
        result(final, segments, [record("decompose/skeleton"), record("edit/consistency", [(change,)])])
    )
    assert shown(found, "kept", "added") == final
    assert not [one for one in found if not one.text]


def test_edits_that_a_verifier_has_judged_since_are_not_told():
    change = Change(begin=0, old="a", new="b", by="e", why="")
    stages = (record("edit/tagger", [(change,)]), record("draft_verify/ngram"))
    assert marked_answer(result("b c", [("b c", stages)])) == [Marked(text="b c", state="kept")]


def test_an_answer_of_one_part():
    change = Change(begin=2, old="the the", new="the", by="e", why="")
    found = marked_answer(
        result(
            "on the roof",
            [("on the roof", (record("edit/tagger", [(Change(begin=3, old="the the", new="the", by="e", why=""),)]),))],
        )
    )
    assert found == [
        Marked(text="on ", state="kept"),
        Marked(text="the the", state="removed"),
        Marked(text="the", state="added"),
        Marked(text=" roof", state="kept"),
    ]
    assert change
