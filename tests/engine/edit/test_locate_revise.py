"""Locate and revise against the same thing written plainly, with one whole pass for each text that is thought of."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.engine.edit.changes import applied, undone
from ptgflow.engine.edit.locating import known
from ptgflow.engine.edit.locating.known import NOTHING, Limits
from ptgflow.engine.edit.locating.locate_revise import LocateRevise
from ptgflow.engine.edit.locating.scorer import Scorer
from ptgflow.engine.edit.loop import EditLoop
from ptgflow.engine.edit.request import EditRequest
from ptgflow.engine.edit.rules import EditAsk, Revision
from ptgflow.engine.models.model import load_model
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
LIMITS = Limits(weak=0.02, candidates=4, ahead=2, gain=0.5)
WORDS = st.text("abcdefgh ", min_size=1, max_size=24).filter(lambda text: text.strip())


def laws(prompt, ids):
    run = MODEL.open_pass()
    row = run.cache.admit()
    return run([RowInput(row=row, tokens=prompt, tree=TokenTree.chain(ids))]).log_softmax(-1)


def score(prompt, ids, begin=0, end=None):
    law = laws(prompt, ids)
    return sum(float(law[at, ids[at]]) for at in range(begin, min(end or len(ids), len(ids))))


def ask(text, prompt=(), row=0, number=0):
    return EditAsk(row=row, text=text, token_ids=MODEL.codec.encode(text), prompt_ids=prompt, round=number)


def plain(text, prompt):
    """The best candidate of each unlikely place, by whole passes."""
    ids = MODEL.codec.encode(text)
    first = 0 if prompt else 1
    prompt = prompt or (MODEL.codec.start_id,)
    law = laws(prompt, ids)
    special = {*MODEL.codec.tokenizer.all_special_ids, *MODEL.codec.eos_ids}
    found = {}
    for place in range(first, len(ids)):
        if float(law[place, ids[place]]) > math.log(LIMITS.weak):
            continue
        line = law[place].clone()
        line[[*special, ids[place]]] = -math.inf
        end = place + 1 + LIMITS.ahead
        count = min(end, len(ids)) - place
        before = score(prompt, ids, place, end)
        gains = {
            token: score(prompt, (*ids[:place], token, *ids[place + 1 :]), place, end) - before
            for token in line.topk(LIMITS.candidates).indices.tolist()
        }
        if place and count > 1:
            left = score(prompt, (*ids[:place], *ids[place + 1 :]), place, end - 1)
            gains[NOTHING] = left - score(prompt, ids, place + 1, end)
        best = max(gains, key=lambda token: gains[token])
        if gains[best] >= LIMITS.gain:
            found[place] = (best, gains[best])
    return ids, found


@settings(max_examples=25, deadline=None)
@given(WORDS, st.lists(st.integers(3, 200), max_size=6).map(tuple), st.integers(1, 9))
def test_what_is_found_is_what_whole_passes_find(text, prompt, stretch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "STRETCH", stretch)
        editor = LocateRevise(MODEL, LIMITS)
        seen = []
        patch.setattr(LocateRevise, "_settled", lambda self, one: seen.append(one) or Revision())
        editor.revise([ask(text, prompt)])
    (reading,) = seen
    ids, found = plain(text, prompt)
    assert sum(reading.row.scored) == pytest.approx(score(prompt or (MODEL.codec.start_id,), ids), abs=1e-3)
    assert {one.place: one.token for one in reading.found} == {place: one for place, (one, _) in found.items()}
    for one in reading.found:
        assert one.gain == pytest.approx(found[one.place][1], abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=3), st.integers(1, 5))
def test_texts_become_likelier_as_alone_and_can_be_undone(texts, rounds):
    def refined(several):
        editor = LocateRevise(MODEL, LIMITS)
        loop = EditLoop(MODEL, editor, max_rows=4)
        rows = []
        for text in several:
            ids = MODEL.codec.encode(text)
            scores = (0.0,) * len(ids)
            rows.append(loop.admit(EditRequest(text=text, token_ids=ids, scores=scores, editor=editor, rounds=rounds)))
        found = {}
        while not loop.idle:
            found |= loop.round().finished
        assert len(editor._scorer._pass.cache) <= 1
        return [found[row] for row in rows]

    start = (MODEL.codec.start_id,)
    for text, one in zip(texts, refined(texts), strict=True):
        (alone,) = refined([text])
        assert (one.text, one.token_ids, one.edits) == (alone.text, alone.token_ids, alone.edits)
        assert MODEL.codec.decode(one.token_ids) == one.text
        back = one.text
        for changes in reversed(one.edits):
            back = undone(back, changes)
        assert back == text
        before = MODEL.codec.encode(text)
        assert score(start, one.token_ids) / max(len(one.token_ids), 1) >= score(start, before) / len(before) - 1e-3


def test_a_text_that_is_longer_than_the_context_is_scored_to_its_end():
    """Behind its prompt stands half of what has room there, and the model never sees more than its context."""
    prompt, ids, context, stretch = (5, 6, 7), tuple(8 + at % 90 for at in range(150)), 40, 8
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "STRETCH", stretch)
        editor = LocateRevise(MODEL, Limits(weak=1e-9, ahead=2))
        editor._scorer._context = context
        seen, most = [], []
        patch.setattr(LocateRevise, "_settled", lambda self, one: seen.append(one) or Revision())
        run = editor._scorer._pass

        class Watched:
            cache = run.cache

            def __call__(self, inputs):
                for one in inputs:
                    deepest = max(one.tree.depths, default=0) if one.tree is not None else 0
                    most.append(run.cache.length(one.row) + len(one.tokens) + deepest)
                return run(inputs)

        editor._scorer._pass = editor._scorer._texts._pass._run = Watched()
        editor.revise([EditAsk(row=0, text="", token_ids=ids, prompt_ids=prompt, round=0)])
    expected, before, at = 0.0, (), 0
    while at < len(ids):
        end, shown = min(at + stretch, len(ids)), len(ids[at : at + stretch + 2])
        if len(prompt) + len(before) + shown > context:
            before = ids[at - (context - len(prompt) - 1 - shown) // 2 : at]
        expected += score((*prompt, *before), ids[at:end])
        before, at = (*before, *ids[at:end]), end
    assert sum(seen[0].row.scored) == pytest.approx(expected, abs=1e-2)
    assert max(most) <= context


@pytest.mark.parametrize("text", ["", "a", "\U0001f600", "\u65e5\u672c\u8a9e", "\n"])
def test_odd_texts(text):
    editor = LocateRevise(MODEL, Limits(weak=0.9, gain=0.0))
    (found,) = editor.revise([ask(text)])
    after = applied(text, found.changes)
    after.encode()
    assert "\ufffd" not in after


def test_a_want_of_memory_halves_the_batch_and_changes_no_text():
    texts = ("abc hgf", "bad cab", "a fed hag", "gab", "head h")

    def refined(memory_at):
        editor = LocateRevise(MODEL, LIMITS)
        loop = EditLoop(MODEL, editor, max_rows=5)
        rows = []
        for text in texts:
            ids = MODEL.codec.encode(text)
            scores = (0.0,) * len(ids)
            rows.append(loop.admit(EditRequest(text=text, token_ids=ids, scores=scores, editor=editor, rounds=4)))
        run, calls, finished, warnings = Scorer.score, [], {}, []

        def fails(self, readings, ahead):
            calls.append(len(readings))
            if len(calls) in memory_at:
                raise MemoryError
            return run(self, readings, ahead)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Scorer, "score", fails)
            while not loop.idle:
                done = loop.round()
                assert not done.failed
                finished |= done.finished
                warnings += done.warnings
        assert len(editor._scorer._pass.cache) <= 1
        return [(finished[row].text, finished[row].edits) for row in rows], warnings

    plain, none = refined(())
    assert not none
    assert any(edits for _, edits in plain)
    for places in ((1,), (2,), (3,), (4, 5)):
        halved, warnings = refined(places)
        assert halved == plain
        assert [one.code for one in warnings] == ["PTG619"] * len(places)


@settings(max_examples=25, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=3), st.integers(0, 3), st.integers(2, 9))
def test_a_text_that_changes_is_scored_as_if_it_were_new(texts, ahead, stretch):
    """Only what stands near a change is read again, and that is all that has to be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "STRETCH", stretch)
        scorer = Scorer(MODEL)
        for number, text in enumerate(texts):
            one = scorer.opened(ask(text, (7, 8), number=number), ahead)
            ids = one.ask.token_ids
            before = MODEL.codec.encode(texts[number - 1]) if number else ()
            same = next((at for at in range(len(ids)) if before[at : at + 1] != ids[at : at + 1]), len(ids))
            assert one.at == max(same - ahead, 0)
            while one.at < len(ids):
                scorer.score([one], ahead)
            law = laws((7, 8), ids)
            assert one.row.scored == pytest.approx([float(law[at, ids[at]]) for at in range(len(ids))], abs=1e-3)
        scorer.free(0)
        assert len(scorer._pass.cache) == 1, "the last one stays"


def test_what_texts_begin_with_is_read_once():
    """Also of texts that come after another one has ended."""
    common, scorer, read = tuple(range(3, 63)), Scorer(MODEL), []
    run = scorer._pass

    class Counted:
        cache = run.cache

        def __call__(self, inputs):
            read.append(sum(len(one.tokens) for one in inputs))
            return run(inputs)

    scorer._pass = scorer._texts._pass._run = Counted()
    for row in range(3):
        one = scorer.opened(ask("abc", (*common, 100 + row), row=row), 2)
        while one.at < 3:
            scorer.score([one], 2)
        scorer.free(row)
    both = [scorer.opened(ask("abd", (*common, 110 + row), row=row), 2) for row in (3, 4)]
    scorer.score(both, 2)
    assert sum(read) <= len(common) + 5 + 8
