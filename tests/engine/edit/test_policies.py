"""Learnt editors: what they read against transformers' own modules, and the laws of every editor."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.engine.canvas.gated_pass import GatedPass
from ptgflow.engine.edit.changes import applied, undone
from ptgflow.engine.edit.felix import ChangesAsTags, PolicyTags
from ptgflow.engine.edit.loop import EditLoop
from ptgflow.engine.edit.policies.deciding import parts_of
from ptgflow.engine.edit.policies.editors import Insertion, Levenshtein, Reposition, Thresholds
from ptgflow.engine.edit.policies.reading import TextReader
from ptgflow.engine.edit.policies.rewriting import HOLE, Step, char_starts, revision_of
from ptgflow.engine.edit.request import EditRequest
from ptgflow.engine.edit.rules import EditAsk
from tests.engine.edit.policies_of_tiny import MODEL, heads, policies
from tests.engine.heads_of_tiny import config_of, net_of, window_states

WORDS = st.text("abcdefgh é\U0001f600", min_size=0, max_size=24)
PROMPT = st.lists(st.integers(3, 200), max_size=6).map(tuple)
EDITORS = (Levenshtein, Insertion, Reposition)
EASY = Thresholds(delete=0.4, insert=0.4, most=2)


def ask(text, prompt=(), row=0):
    return EditAsk(row=row, text=text, token_ids=MODEL.codec.encode(text), prompt_ids=prompt, round=0)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(3, 200), max_size=20).map(tuple), st.lists(st.integers(3, 200), min_size=1, max_size=5))
def test_a_text_is_read_from_the_left_and_in_windows_that_see_both_sides(text, prompt):
    window, begins = 8, range(0, max(len(text), 1), 6)
    reader = TextReader(GatedPass(heads("masked"), MODEL), (MODEL.layers,), window)
    row, other = reader.admit(tuple(prompt)), reader.admit((9, 9))
    seen = reader.read({other: (5, 6, 7), row: text})[row]
    hidden = MODEL.hidden_size
    own = window_states(heads("masked"), (*prompt, *text), [5])[: len(prompt) + len(text)]
    assert torch.allclose(seen.states[:, :hidden], own[len(prompt) - 1 :], atol=1e-4)
    both, laws = [own[len(prompt) - 1]], []
    for begin in begins:
        shown = text[begin : begin + window]
        if shown:
            states = window_states(heads("masked"), (*prompt, *text[:begin]), shown)[len(prompt) + begin - 1 :]
            both += states[1 : 1 + 6]
            laws += states[:6]
    assert torch.allclose(seen.states[:, hidden:], torch.stack(both)[: len(text) + 1], atol=1e-4)
    output = MODEL.output_rows(torch.arange(MODEL.vocab_size))
    for place, token in enumerate(text):
        left = (own[len(prompt) - 1 + place] @ output.T).log_softmax(-1)
        sides = (laws[place] @ output.T).log_softmax(-1)
        facts = [left[token], left[token] - left.max(), -(left.exp() * left).sum(), sides[token]]
        facts.append(sides[token] - sides.max())
        assert torch.allclose(seen.facts[place + 1] * 8.0, torch.stack(facts).clamp(min=-24.0), atol=1e-3)


def test_what_heads_read_of_a_text_does_not_depend_on_those_beside_it():
    net = net_of(config_of("levenshtein", MODEL))
    reader = TextReader(GatedPass(heads("masked"), MODEL), net.config.taps, 8)
    texts = [(), (5,), tuple(range(5, 30))]
    rows = [reader.admit((3, 4)) for _ in texts]
    seen = list(reader.read(dict(zip(rows, texts, strict=True))).values())
    for one, line in zip(seen, net.lines(seen), strict=True):
        assert torch.allclose(line, net.lines([one])[0], atol=1e-5)
        assert len(line) == one.tokens + 2
        assert net.deletions(line).shape == (one.tokens,)
        assert net.counts(line).shape == (one.tokens + 1, 4)
        moves = net.moves(line).softmax(-1).detach()
        assert torch.allclose(moves.sum(-1), torch.ones(one.tokens))
        for at in range(one.tokens):
            for step in range(-2, 3):
                assert (float(moves[at, 3 + step]) > 0) == (0 <= at + step < one.tokens)


def told(decoded):
    return [[replace(change, score=0.0) for change in changes] for changes in decoded.edits]


def sure(decoded):
    return [change.score for changes in decoded.edits for change in changes]


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(WORDS, PROMPT), min_size=1, max_size=3), st.integers(1, 4), st.sampled_from(EDITORS))
def test_texts_become_what_they_become_alone_and_can_be_undone(texts, rounds, kind):
    def refined(several):
        editor = kind(policies(), EASY)
        loop = EditLoop(MODEL, editor, max_rows=4)
        for text, prompt in several:
            ids = MODEL.codec.encode(text)
            loop.admit(
                EditRequest(
                    text=text,
                    token_ids=ids,
                    scores=(0.0,) * len(ids),
                    editor=editor,
                    rounds=rounds,
                    prompt_ids=prompt,
                )
            )
        found = {}
        while not loop.idle:
            found |= loop.round().finished
        assert not len(editor._policies._reader)
        return [found[row] for row in sorted(found)]

    for (text, prompt), one in zip(texts, refined(texts), strict=True):
        (alone,) = refined([(text, prompt)])
        assert (one.text, one.token_ids) == (alone.text, alone.token_ids)
        assert told(one) == told(alone)
        # Scores may be rounded in another way beside others.
        assert sure(one) == pytest.approx(sure(alone), abs=1e-4)
        assert MODEL.codec.decode(one.token_ids) == one.text
        assert len(one.edits) <= rounds
        back = one.text
        for changes in reversed(one.edits):
            assert all(change.score <= 0 for change in changes)
            back = undone(back, changes)
        assert back == text
        assert "\ufffd" not in one.text


ODD = ["", "a", "\U0001f600", "日本語", "\n"]


@pytest.mark.parametrize(
    ("text", "kind"), [*((text, kind) for text in ODD for kind in EDITORS), ("word " * 1000, Levenshtein)]
)
def test_odd_texts(text, kind):
    found = kind(policies(block_length=64), Thresholds(delete=0.8, insert=0.97)).revise([ask(text)])[0]
    after = applied(text, found.changes)
    assert "\ufffd" not in after
    if found.token_ids is not None:
        assert MODEL.codec.decode(found.token_ids) == after


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 90), st.integers(0, 60), st.integers(8, 64))
def test_a_text_that_is_longer_than_the_context_is_edited_in_parts(tokens, prompt, context):
    one = EditAsk(row=0, text="", token_ids=tuple(range(tokens)), prompt_ids=tuple(range(500, 500 + prompt)), round=0)
    parts = parts_of(one, context, 7)
    assert sum((part.tokens for part in parts), ()) == one.token_ids
    whole = (*(one.prompt_ids or (7,)), *one.token_ids)
    for part in parts:
        assert part.before
        assert len(part.before) + len(part.tokens) + part.room == context
        assert part.room >= 0
        assert part.fixed == (not prompt and not part.begin)
        end = len(whole) - tokens + part.begin
        assert whole[end - len(part.before) : end] == part.before


class Given:
    """Policies that say what they are told, for a text that needs nothing read."""

    def __init__(self, delete, counts, written):
        self.codec, self.said = MODEL.codec, (delete, counts)
        self.written = iter(written)
        self.net = self

    def parts(self, asks):
        return {(one.row, 0): parts_of(one, 100, 0)[0] for one in asks}

    def lines(self, texts):
        return {key: torch.zeros(len(tokens), 1) for key, tokens in texts.items()}

    def deletions(self, lines):
        return torch.tensor(self.said[0]) * 20.0 - 10.0

    def counts(self, lines):
        return F.one_hot(torch.tensor(self.said[1]), 4) * 20.0

    def filled(self, texts):
        return {key: [(next(self.written), -0.5) for token in text if token is None] for key, text in texts.items()}


def test_a_round_deletes_opens_gaps_and_fills_them():
    text = "abcd"
    new = MODEL.codec.encode("xyz")
    (found,) = Levenshtein(Given([0.0, 1.0, 1.0, 0.0], [1, 2, 0], new), Thresholds()).revise([ask(text, (5,))])
    assert applied(text, found.changes) == "xayzd"
    assert [(one.begin, one.old, one.new, one.why) for one in found.changes] == [
        (0, "", "x", "inserted 1"),
        (1, "bc", "yz", "deleted 2, inserted 2"),
    ]
    (found,) = Insertion(Given([], [0, 3, 0, 2, 0], (*new, *new)), Thresholds()).revise([ask(text)])
    assert applied(text, found.changes) == "aybcxd", "of three the second, of two the first"
    (found,) = Levenshtein(Given([0.0] * 4, [3, 0, 0, 0, 0], new), Thresholds(most=1)).revise([ask(text, (5,))])
    assert applied(text, found.changes) == "xabcd"
    # Without a prompt nobody knows what a text could begin with.
    (found,) = Levenshtein(Given([1.0, 0.0, 0.0, 1.0], [1, 1, 0, 0], new), Thresholds()).revise([ask(text)])
    assert applied(text, found.changes) == "axbc"


def test_tags_leave_holes_and_no_words():
    text = "abcd"
    (found,) = PolicyTags(Levenshtein(Given([0.0, 1.0, 0.0, 0.0], [0, 2, 0, 0], ()), Thresholds())).revise([ask(text)])
    ids = MODEL.codec.encode(text)
    assert found.token_ids == (ids[0], HOLE, HOLE, *ids[2:])
    assert undone(applied(text, found.changes), found.changes) == text
    written = Levenshtein(Given([0.0, 1.0, 0.0, 1.0], [0, 2, 0], MODEL.codec.encode("xy")), Thresholds())
    (again,) = ChangesAsTags(written, MODEL.codec).revise([ask(text)])
    assert again.token_ids == (ids[0], HOLE, HOLE, ids[2])
    assert [one.by for one in again.changes] == ["felix", "felix"]


@settings(max_examples=80, deadline=None)
@given(st.text("ab é\U0001f600", max_size=8), st.data())
def test_edits_of_tokens_are_changes_between_characters(text, data):
    ids = MODEL.codec.encode(text)
    starts = char_starts(MODEL.codec, text, ids)
    for at, start in enumerate(starts):
        assert start is None or MODEL.codec.decode(ids[:at]) == text[:start]
    steps = []
    for place, token in enumerate(ids):
        steps += [Step(one, -1.0) for one in data.draw(st.lists(st.integers(3, 200), max_size=1))]
        steps += [Step(token, origin=place)] if data.draw(st.booleans()) else []
    found = revision_of(MODEL.codec, text, ids, steps, [-2.0] * len(ids), by="levenshtein")
    after = applied(text, found.changes)
    assert undone(after, found.changes) == text
    assert "\ufffd" not in after
    if found.token_ids is not None:
        assert MODEL.codec.decode(found.token_ids) == after
    if None not in starts and len(ids) == len(text):
        wanted = MODEL.codec.decode([step.token for step in steps])
        assert "\ufffd" in wanted or after == wanted
