"""Every program that passes `check` runs on the tiny model, and what it leaves satisfies its contract."""

import itertools

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ptgflow.api import Plan
from ptgflow.api import compile as compile_flow
from ptgflow.contracts import Draft, Text, Verified
from ptgflow.dsl import Decompose, DraftVerify, Flow, Merge
from ptgflow.errors import RecipeError
from ptgflow.executors.flow import Track, run_flow
from ptgflow.executors.request import Ask, encode
from ptgflow.executors.result import Result
from ptgflow.executors.worker import Worker

QUICK = (Phase.explicit, Phase.reuse, Phase.generate)
"""Shrinking would run a model thousands of times."""

REQUESTS = (
    "What are the benefits of walking?",
    "Give me five tips for a first marathon.",
    "Extract Animal, Habitat and Diet from the following text:\n\nThe axolotl lives in Mexico and eats worms.",
    "Write a haiku.",
    "1. a\n2. b\n3. c",
    "é 😀 \n\n  x",
)
TEXTS = ("One sentence. Another one!\n\nA second paragraph, longer than the first.", "x", "a b c d e f g h i j k l")

PARTS = {
    "skeleton": lambda: Decompose(router=None, plan_tokens=24),
    "routed": lambda: Decompose(plan_tokens=16),
    "schema": lambda: Decompose("schema"),
    "passages": lambda: Decompose("passages", passage_tokens=6),
    "ngram": lambda: DraftVerify(k=3, min_ngram=1),
    "match": lambda: DraftVerify(k=5, accept="match"),
    "ar": lambda: DraftVerify("ar"),
    "merge": Merge,
}


def chain(names):
    return Flow(*(stage for name in names for stage in PARTS[name]().stages))


def _legal() -> list[tuple[str, ...]]:
    """Every chain of up to three of these parts that compiles, and some of four."""
    found = []
    for size in (1, 2, 3):
        for names in itertools.product(PARTS, repeat=size):
            try:
                compile_flow(chain(names), model="tiny")
            except RecipeError:
                continue
            found.append(names)
    return [
        *found,
        ("skeleton", "ngram", "merge", "match"),
        ("skeleton", "ar", "merge", "passages", "ngram"),
        ("ar", "match"),
    ]


LEGAL = _legal()
PLANS: dict[tuple[str, ...], Plan] = {}


def plan(names, **generation) -> Plan:
    """A plan of a legal chain; the models are loaded once for each chain."""
    if names not in PLANS:
        PLANS[names] = compile_flow(chain(names), model="tiny")
    fresh = compile_flow(chain(names), model="tiny", **generation)
    fresh.__dict__["executor"] = PLANS[names].executor
    return fresh


def asked(made: Plan, words: str, text: str, key: int = 0) -> Ask:
    return Ask(id=key, prompt=words) if made.program.starts[0].__name__ == "Prompt" else Ask(id=key, text=text)


def answers(made: Plan, asks) -> dict[object, Result]:
    return {one.id: one for one in made.run_many(asks) if isinstance(one, Result)}


generations = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([0.0, 0.0, 0.7, 1.5]),
        "max_tokens": st.integers(1, 40),
        "seed": st.integers(0, 3),
        "stop": st.sampled_from([(), ("1",), ("P3", "\n")]),
        "top_p": st.sampled_from([1.0, 0.8]),
        "repetition_penalty": st.sampled_from([1.0, 1.2]),
    }
)


@settings(max_examples=60, phases=QUICK)
@given(st.sampled_from(LEGAL), st.sampled_from(REQUESTS), st.sampled_from(TEXTS), generations)
def test_what_compiles_runs(names, words, text, options):
    made = plan(names, **options)
    [result] = answers(made, [asked(made, words, text)]).values()
    assert result.ok, result.error
    codec = made.executor.target.codec
    assert codec.decode(result.token_ids) == result.text
    assert result.finish_reason in ("stop", "length", "split")
    assert result.metrics is not None
    assert result.metrics.new_tokens == len(result.token_ids)
    assert result.metrics.critical_rounds <= result.metrics.rounds or result.metrics.rounds == 0
    if made.program.starts[0].__name__ == "Prompt":
        assert made.placement.most_rounds is not None
        assert result.metrics.critical_rounds <= made.placement.most_rounds
    assert {stage.name for stage in result.metrics.stages} <= {node.slot for node in made.program.nodes}
    assert set(result.origin) <= {"input", *(node.slot for node in made.program.nodes)}
    assert not any(
        stop in segment.text for stop in options["stop"] for segment in result.segments if "ar" in names[-1:]
    )


@settings(max_examples=40, phases=QUICK)
@given(st.sampled_from(LEGAL), st.sampled_from(REQUESTS), st.sampled_from(TEXTS), generations)
def test_the_result_is_of_the_declared_kind(names, words, text, options):
    """Run the flow by hand, so that the last segment itself can be looked at."""
    made = plan(names, **options)
    executor = made.executor
    ask = asked(made, words, text)
    value = encode(
        ask, model=executor.target, starts=made.program.starts, generation=made.generation, recipe=made.program.name
    )
    worker = Worker(executor._loops, executor._models, max_rows=2, tell=lambda event: None)
    track = Track(generation=made.generation, budget=made.generation.max_tokens)
    worker.submit("0", run_flow(executor._stages, value, track), track)
    done = ()
    while not done:
        done = worker.step()
    left, last = done[0].value, made.program.nodes[-1]
    assert last.leaves is not None
    assert not last.leaves.branched
    assert isinstance(left, last.leaves.kind)
    assert isinstance(left, Text)
    if isinstance(left, Draft):
        assert all(score <= 1e-6 for score in left.scores)
    if isinstance(left, Verified):
        assert left.guarantee.level == ("exact" if options["temperature"] == 0 else "distribution")
    assert worker.idle
    assert all(loop.idle for loop in executor._loops.values())


@settings(max_examples=20, phases=QUICK)
@given(st.sampled_from([names for names in LEGAL if len(names) <= 3]), generations, st.permutations(range(4)))
def test_a_text_depends_on_its_seed_alone(names, options, order):
    """Not on the run, on the requests beside it, or on their order."""
    made = plan(names, **options)
    asks = [asked(made, REQUESTS[index], TEXTS[index % len(TEXTS)], index) for index in range(4)]
    alone = {ask.id: answers(made, [ask])[ask.id].text for ask in asks}
    together = {key: result.text for key, result in answers(made, [asks[index] for index in order]).items()}
    assert together == alone


def test_another_seed_gives_another_text():
    texts = {plan(("ar",), temperature=1.0, seed=seed, max_tokens=30).run("hello").text for seed in range(4)}
    assert len(texts) == 4


@pytest.mark.parametrize("accept", ["speculative", "match"])
def test_matching_acceptance_writes_what_plain_sampling_writes(accept):
    """`match` couples the draws: the same seed gives plain sampling's text. `speculative` promises only its law."""
    same = 0
    for seed in range(8):
        options = {"temperature": 0.8, "seed": seed, "max_tokens": 40, "model": "tiny"}
        drafted = compile_flow(DraftVerify(accept=accept, min_ngram=1).named("w"), **options).run("a b a b a b")
        plain = compile_flow(DraftVerify("ar").named("w"), **options).run("a b a b a b")
        same += drafted.text == plain.text
    assert same == 8 if accept == "match" else same < 8


def test_the_same_greedy_text_with_and_without_drafts():
    for words in REQUESTS:
        plain = plan(("ar",), max_tokens=40).run(words)
        for names in (("ngram",), ("match",), ("ngram", "ngram"), ("ar", "match")):
            assert plan(names, max_tokens=40).run(words).text == plain.text
    assert plan(("ngram", "ngram"), max_tokens=40).run(REQUESTS[0]).metrics.critical_rounds > 0


def test_segments_are_decoded_as_one_batch():
    """Five segments cost the passes of the longest, not of all together."""
    prompt = "Translate each of the following words:\n1. sun\n2. moon\n3. sea\n4. hill\n5. tree"
    made = plan(("schema", "ar"), max_tokens=100)
    result = made.run(prompt)
    assert len(result.segments) == 5, result.how
    assert result.metrics is not None
    longest = max(stage.rounds for segment in result.segments for stage in segment.stages)
    assert result.metrics.rounds == longest == result.metrics.critical_rounds
    assert result.metrics.steps_per_token is not None
    assert result.metrics.steps_per_token < 1


def test_a_failing_request_takes_no_other_along():
    made = plan(("ar",), max_tokens=8)
    long = "word " * 3000
    found = answers(
        made, [Ask(id=1, prompt="fine"), Ask(id=2, prompt=long), Ask(id=3, text="x"), Ask(id=4, prompt="ok")]
    )
    assert [found[key].ok for key in (1, 2, 3, 4)] == [True, False, False, True]
    assert found[2].error_code == "PTG602"
    assert found[3].error_code == "PTG613"


def test_a_closed_run_frees_its_rows():
    made = plan(("skeleton", "ar"), max_tokens=64)
    stream = made.stream("What are the benefits of walking?")
    for _, _ in zip(range(6), stream, strict=False):
        pass
    stream.close()
    assert all(loop.idle for loop in made.executor._loops.values())
    assert made.run("What are the benefits of walking?").ok
