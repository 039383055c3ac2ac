"""The loop over texts: when a text is done, what its trace says, and that rows do not see each other."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.engine.edit.changes import between, undone
from ptgflow.engine.edit.loop import EditLoop
from ptgflow.engine.edit.request import EditRequest
from ptgflow.engine.edit.rules import Revision
from ptgflow.engine.models.model import load_model

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))


class Table:
    """Rewrites a text into what a table says."""

    name = "table"

    def __init__(self, table):
        self.table, self.freed, self.most = table, [], 0

    def revise(self, asks):
        self.most = max(self.most, len(asks))
        return [
            Revision(changes=between(one.text, self.table.get(one.text, one.text), by="table", why="", score=-2.0))
            for one in asks
        ]

    def free(self, row):
        self.freed.append(row)


def request(editor, text, rounds=5):
    ids = MODEL.codec.encode(text)
    return EditRequest(text=text, token_ids=ids, scores=(-1.0,) * len(ids), editor=editor, rounds=rounds)


def refined(editor, texts, *, rounds=5, max_rows=8):
    loop = EditLoop(MODEL, editor, max_rows=max_rows)
    rows = [loop.admit(request(editor, text, rounds)) for text in texts]
    found = {}
    while not loop.idle:
        found |= loop.round().finished
    assert sorted(editor.freed) == sorted(rows)
    return [found[row] for row in rows]


def test_a_text_ends_at_a_fixed_point_at_a_text_seen_and_at_the_limit():
    editor = Table({"a": "b", "b": "c", "p": "q", "q": "p"})
    fixed, cycle, limit = refined(editor, ["a", "p"]) + refined(Table(editor.table), ["a"], rounds=1)
    assert (fixed.text, fixed.rounds, len(fixed.edits)) == ("c", 3, 2)
    # The guard keeps the text that it has seen, as GECToR does.
    assert (cycle.text, cycle.rounds) == ("p", 2)
    assert (limit.text, limit.rounds) == ("b", 1)


def test_kept_tokens_keep_their_scores():
    (found,) = refined(Table({"one two three": "one six three"}), ["one two three"])
    assert set(found.scores) == {-1.0, -2.0}
    assert MODEL.codec.decode(found.token_ids) == found.text


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.text("abc", max_size=3), max_size=12),
    st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=5),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_rows_are_as_alone_end_and_can_be_undone(table, texts, rounds, max_rows):
    editor = Table(table)
    together = refined(editor, texts, rounds=rounds, max_rows=max_rows)
    assert editor.most <= max_rows
    for text, one in zip(texts, together, strict=True):
        (alone,) = refined(Table(table), [text], rounds=rounds)
        assert (one.text, one.token_ids, one.scores, one.edits) == (
            alone.text, alone.token_ids, alone.scores, alone.edits,
        )  # fmt: skip
        assert len(one.edits) <= rounds
        back = one.text
        for changes in reversed(one.edits):
            back = undone(back, changes)
        assert back == text


def test_a_cancelled_row_is_dropped():
    editor = Table({"a": "b", "b": "a"})
    loop = EditLoop(MODEL, editor, max_rows=1)
    first, second = loop.admit(request(editor, "a")), loop.admit(request(editor, "b"))
    loop.round()
    loop.cancel(first)
    loop.cancel(second)
    assert loop.idle
    assert editor.freed == [first]
