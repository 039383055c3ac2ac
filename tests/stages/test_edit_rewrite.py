"""The editor `rewrite`: what is taken of a rewritten text, what is not, and what is told of both."""

import json
import re
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow import load_recipe
from ptgflow.contracts import Message, ModelCard, Text
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.contracts.settings import Generation, Sampling
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.edit.changes import undone
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import Decoded
from ptgflow.stages.base import StageContext
from ptgflow.stages.edit.likelihood import likelihood
from ptgflow.stages.edit.rewrite import Rewrite, similarity
from ptgflow.stages.edit.rewriting_options import RewriteOptions

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
MODEL = load_model(CARD)
PLAIN = load_model(CARD, Accelerate(forward="transformers"))
CODEC = MODEL.codec
OLD = "The cat sat on a mat, and it were happy."
NEW = "The cat sat on a mat, and it was happy."


def made_of(**changed):
    """Options without a likelihood to be asked for, unless a test is about it."""
    return RewriteOptions(**({"rounds": 2, "gain": None, "similarity": 0.5} | changed))


def context(*, budget=400, model=MODEL, temperature=0.0, stop=()):
    generation = Generation(stop=stop, sampling=Sampling(temperature=temperature, repetition_penalty=1.1))
    return StageContext(slot="repair", model=model, generation=generation, budget=budget, seed=7)


def value(text, prompt=True):
    turns = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="Hello."),
        Message(role="assistant", content="Hello!"),
        Message(role="user", content="What of the cat?"),
    )
    asked = CODEC.prompt(turns, text="What of the cat?") if prompt else None
    ids = CODEC.encode(text)
    return Text(token_ids=ids, tokenizer=CODEC.fingerprint, text=text, origin=("write",) * len(ids), prompt=asked)


def answer(text, finish="stop"):
    ids = CODEC.encode(text)
    return Decoded(
        token_ids=ids, text=text, scores=(-1.0,) * len(ids), verdicts=(), rejected=(), finish_reason=finish, rounds=1,
        passes=frozenset({1}), proposed=0, accepted=0, verify_rounds=0,
    )  # fmt: skip


def run(text, *answers, options=None, where=None, prompt=True):
    """Run the stage on answers that were written beforehand; it must ask for exactly these."""
    where = where or context()
    work = Rewrite(options or made_of()).run(value(text, prompt), where)
    asked, replies = [], iter(answers)
    try:
        asked.append(next(work))
        while True:
            asked.append(work.send(next(replies)))
    except StopIteration as end:
        assert len(asked) == len(answers)
        return end.value, where.report, asked


def check(text, found, report):
    """The laws that hold for every text."""
    back = found.text
    for changes in reversed(report.edits):
        assert all(change.by == "rewrite" and change.why for change in changes)
        back = undone(back, changes)
    assert back == text
    assert CODEC.decode(found.token_ids) == found.text
    assert len(found.token_ids) == len(found.origin) == len(found.scores)


def test_a_text_is_rewritten_until_it_stays():
    found, report, asked = run(OLD, answer(NEW), answer(NEW), options=made_of(rounds=5))
    assert found.text == NEW
    check(OLD, found, report)
    ((change,),) = report.edits
    assert (change.old, change.new, change.score) == ("were", "was", -1.0)
    assert change.why == "rewritten: 0.97 of the length, similarity 0.92"
    assert report.refused == []
    assert not any(request.visible for request in asked)
    assert found.prompt == value(OLD).prompt
    assert set(found.origin) == {"write", "repair"}


def test_rounds_end_at_the_limit_and_at_a_text_that_was_there_before():
    options = made_of(rounds=1)
    found, report, _ = run(OLD, answer(NEW), options=options)
    assert found.text == NEW
    found, report, _ = run(OLD, answer(NEW), answer(OLD), options=made_of(rounds=9))
    assert found.text == OLD
    assert len(report.edits) == 2
    check(OLD, found, report)


def test_what_the_model_is_told():
    _, _, (request,) = run(OLD, answer(OLD), options=made_of(instruction="Mend it."), where=context(temperature=1.0))
    said = CODEC.decode(request.prompt_ids)
    order = [
        said.index(one) for one in ("Be brief.", "Hello!", "Request: What of the cat?", f"Text:\n{OLD}", "Mend it.")
    ]
    assert order == sorted(order)
    assert said.count("What of the cat?") == 1
    # However the run samples: greedily.
    assert request.sampling == Sampling(repetition_penalty=1.1)
    _, _, (stopped,) = run(f"{OLD}\nIt purred.", answer(f"{OLD}\nIt purred."), where=context(stop=("\n", "END")))
    assert stopped.stop == ("END",)
    _, _, (bare,) = run(OLD, answer(OLD), prompt=False)
    assert "Request:" not in CODEC.decode(bare.prompt_ids)


def test_white_space_around_a_text_stays():
    text = f"\n\n{OLD}  "
    found, report, _ = run(text, answer(f" {NEW}\n"), options=made_of(rounds=1))
    assert found.text == f"\n\n{NEW}  "
    check(text, found, report)


@pytest.mark.parametrize(
    ("new", "finish", "changed", "why"),
    [
        (NEW + NEW, "stop", {}, "it has 1.95 of the length, which is not from 0.7 to 1.5"),
        ("The cat.", "stop", {}, "it has 0.20 of the length, which is not from 0.7 to 1.5"),
        ("", "stop", {}, "it has 0.00 of the length"),
        ("My dog lies under this table; he seems sad.", "stop", {}, "its similarity is 0.09, below 0.5"),
        (NEW, "length", {}, "it had no end within"),
        (NEW[:-1] + "\ufffd", "stop", {}, "it has bytes that are no text"),
        (NEW, "stop", {"similarity": 0.95}, "its similarity is 0.92, below 0.95"),
        (NEW, "stop", {"min_length": 1.0}, "0.97 of the length, which is not from 1 to 1.5"),
    ],
)
def test_what_is_no_longer_the_text_is_refused(new, finish, changed, why):
    found, report, _ = run(OLD, answer(new, finish), options=made_of(**changed))
    assert found.text == OLD
    assert found.token_ids == CODEC.encode(OLD)
    (refusal,) = report.refused
    assert why in refusal.why
    assert (refusal.round, refusal.by, refusal.text) == (0, "rewrite", new.strip())
    assert report.edits == []


def test_a_second_round_that_is_refused_leaves_the_first():
    found, report, _ = run(OLD, answer(NEW), answer("No."))
    assert found.text == NEW
    assert [refusal.round for refusal in report.refused] == [1]
    check(OLD, found, report)


def test_an_empty_text_asks_for_nothing():
    for text in ("", " \n"):
        found, report, asked = run(text)
        assert (found.text, asked, report.edits, report.refused) == (text, [], [], [])


def test_a_text_that_does_not_fit_stays_and_says_why():
    small = load_model(ModelCard(name="tiny", source="tiny", context_length=200, device="cpu", dtype="float32"))
    text = "word " * 5000
    found, report, _ = run(text, where=context(model=small))
    assert found.text == text
    assert report.refused[0].why.endswith("tiny reads at most 200")


def through_loop(works, *, max_rows):
    """Run generators in one loop."""
    loop, ended, waiting = DecodeLoop(MODEL, max_rows=max_rows), {}, {}

    def advance(at, reply):
        try:
            waiting[loop.admit(works[at].send(reply))] = at
        except StopIteration as end:
            ended[at] = end.value

    for at in range(len(works)):
        advance(at, None)
    while not loop.idle:
        for row, reply in loop.round().finished.items():
            advance(waiting.pop(row), reply)
    return [ended[at] for at in range(len(works))]


@settings(max_examples=8, deadline=None)
@given(st.lists(st.text(max_size=10) | st.sampled_from([OLD, "\U0001f600", "日本語です。"]), min_size=1, max_size=3))
def test_any_text_beside_others_is_as_alone_and_can_be_undone(texts):
    # Anything may come of a model that knows nothing, and everything but what does not end is taken.
    options = made_of(min_length=0.0, max_length=10.0, similarity=0.0)

    def made(some, rows):
        wheres = [context(budget=24) for _ in some]
        works = [Rewrite(options).run(value(text), where) for text, where in zip(some, wheres, strict=True)]
        return [(one, where.report) for one, where in zip(through_loop(works, max_rows=rows), wheres, strict=True)]

    for text, (found, report) in zip(texts, made(texts, 3), strict=True):
        check(text, found, report)
        assert "\ufffd" not in found.text or "\ufffd" in text
        ((alone, told),) = made([text], 1)
        assert (alone, told) == (found, report)


@pytest.mark.parametrize("count", [1, 2, 64, 65, 130])
def test_a_likelihood_is_that_of_the_network(count):
    prompt = CODEC.encode("What of the cat?")
    ids = torch.randint(10, 200, (count,), generator=torch.Generator().manual_seed(count)).tolist()
    (found,) = through_loop([likelihood(prompt, tuple(ids))], max_rows=1)
    logits = PLAIN.network(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1].double()
    expected = logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None]).mean()
    assert found == pytest.approx(float(expected), abs=1e-4)


def test_a_gain_is_asked_of_the_text_after_its_prompt():
    def likely(score, text):
        ids = CODEC.encode(text)
        # The last token is one that the target wrote itself.
        return replace(answer(text), token_ids=(*ids, 5), scores=(score,) * len(ids) + (-9.0,))

    options = made_of(rounds=1, gain=0.0)
    found, report, asked = run(OLD, answer(NEW), likely(-2.0, OLD), likely(-1.5, NEW), options=options)
    assert found.text == NEW
    assert report.edits[0][0].why.endswith("log-likelihood a token +0.500")
    assert [request.prompt_ids for request in asked[1:]] == [value(OLD).prompt.token_ids] * 2
    found, report, _ = run(OLD, answer(NEW), likely(-1.5, OLD), likely(-2.0, NEW), options=options)
    assert found.text == OLD
    assert report.refused[0].why == "the log-likelihood a token changes by -0.500 nats"
    found, report, _ = run(OLD, answer(NEW), likely(-2.0, OLD), likely(-1.5, NEW), options=made_of(rounds=1, gain=0.6))
    assert found.text == OLD


@given(st.text("ab .", max_size=8), st.text("ab .", max_size=8))
def test_similarity_is_a_share(one, other):
    assert 0.0 <= similarity(one, other) <= 1.0
    assert (similarity(one, other) == 1.0) == (re.findall(r"\w+|[^\w\s]", one) == re.findall(r"\w+|[^\w\s]", other))


def test_a_refusal_is_in_the_record_and_in_the_trace():
    plan = load_recipe("edit", ["stage@stages.repair=edit/rewrite", "model=tiny", "max_tokens=16"])
    events = list(plan.stream(text=OLD))
    result = events[-1]
    assert result.text == OLD
    assert "".join(one.text for one in events[:-1] if one.kind == "text" and one.final) == OLD
    (stage,) = result.segments[0].stages
    (refusal,) = stage.refused
    assert json.loads(json.dumps(result.record()))["segments"][0]["stages"][0]["refused"][0]["why"] == refusal.why
    assert [one.details["refused"][0]["why"] for one in events[:-1] if one.kind == "stage_end"] == [refusal.why]


@pytest.mark.model
def test_the_embedded_model_mends_a_sentence():
    plan = load_recipe(
        "edit", ["stage@stages.repair=edit/rewrite", "model=smollm2-135m", "stages.repair.similarity=0.5"]
    )
    found = plan.run(text="He have went to the the shop yesterday, and buyed two apple for he's mother.")
    assert found.text == "He has gone to the shop yesterday and bought two apples for his mother."
