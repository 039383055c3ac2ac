"""The DraftVerify methods on the tiny model: lookup, judging of given drafts, and what is said of each token."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import Draft, Guarantee, ModelCard, Prompt, StageOptions
from ptgflow.contracts.settings import Generation, Sampling
from ptgflow.engine.acceptance import RULES, TopK, Typical
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.models.model import load_model
from ptgflow.errors import RunError
from ptgflow.stages.base import StageContext
from ptgflow.stages.draft_verify.autoregressive import Autoregressive
from ptgflow.stages.draft_verify.lookup import GivenDrafter, NgramDrafter
from ptgflow.stages.draft_verify.ngram import Ngram
from ptgflow.stages.draft_verify.rules import rule_of
from ptgflow.stages.draft_verify.spec import NgramOptions

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
CODEC = MODEL.codec
PROMPT = CODEC.prompt((), text="er on er on", chat=False)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def options(**changed):
    return NgramOptions(**({"k": 4, "min_ngram": 1, "max_ngram": 3, "accept": "speculative"} | changed))


def context(**changed):
    temperature = changed.pop("temperature", 0.0)
    generation = Generation(sampling=Sampling(temperature=temperature), stop=changed.pop("stop", ()), chat=False)
    return StageContext(
        **({"slot": "check", "model": MODEL, "generation": generation, "budget": 20, "seed": 7} | changed)
    )


def work(method, value, where):
    """Run one method to its end; the requests that it made, the answers, and its result."""
    steps, seen = method.run(value, where), []
    try:
        request = next(steps)
        while True:
            loop = DecodeLoop(MODEL, max_rows=1)
            row = loop.admit(request)
            answers = {}
            while not loop.idle:
                answers |= loop.round().finished
            seen.append((request, answers[row]))
            request = steps.send(answers[row])
    except StopIteration as end:
        return seen, end.value


def written(budget=20, prompt=PROMPT):
    """The target's own greedy text."""
    return work(Autoregressive(StageOptions()), prompt, context(budget=budget))[1].token_ids


def draft_of(tokens, *, finish_reason="stop", prompt=PROMPT):
    return Draft(
        token_ids=tuple(tokens),
        tokenizer=CODEC.fingerprint,
        text=CODEC.decode(tokens),
        origin=tuple(f"write{at}" for at in range(len(tokens))),
        scores=(-0.5,) * len(tokens),
        prompt=prompt,
        finish_reason=finish_reason,
    )


def another(token):
    return 4 + (token - 4 + 1) % 200


# --- lookup ---------------------------------------------------------------------------------------------------------


def rescan(source, suffix_of, shortest, longest, k):
    """Prompt lookup without an index: the longest suffix first, its latest occurrence that something follows."""
    for length in range(longest, shortest - 1, -1):
        if length <= len(suffix_of):
            suffix = suffix_of[len(suffix_of) - length :]
            for start in range(len(source) - length - 1, -1, -1):
                if source[start : start + length] == suffix:
                    return tuple(source[start + length : start + length + k])
    return ()


@settings(max_examples=150, deadline=None)
@given(
    start=st.lists(st.integers(0, 2), min_size=1, max_size=12),
    steps=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=3), max_size=5),
    k=st.integers(1, 4),
    shortest=st.integers(1, 3),
    more=st.integers(0, 2),
    limit=st.integers(1, 5),
)
def test_the_index_finds_what_a_rescan_finds_as_the_text_grows(start, steps, k, shortest, more, limit):
    drafter = NgramDrafter(k=k, min_ngram=shortest, max_ngram=shortest + more)
    text = list(start)
    for step in [[], *steps]:
        text += step
        assert drafter.propose(text, limit).tree.tokens == rescan(text, text, shortest, shortest + more, min(k, limit))


def test_a_reference_is_looked_up_before_the_text_but_after_longer_matches():
    drafter = NgramDrafter(k=2, min_ngram=1, max_ngram=3, reference=(1, 2, 9, 9))
    assert drafter.propose([1, 2, 8, 8, 1, 2], 5).tree.tokens == (9, 9)
    drafter = NgramDrafter(k=2, min_ngram=1, max_ngram=3, reference=(2, 9, 9))
    assert drafter.propose([1, 2, 8, 8, 1, 2], 5).tree.tokens == (8, 8)


def test_a_given_text_is_proposed_in_blocks_while_it_is_followed_and_looked_up_afterwards():
    lookup = NgramDrafter(k=2, min_ngram=1, max_ngram=3, reference=(5, 6, 7, 8, 9))
    drafter = GivenDrafter(prompt_length=2, given=(5, 6, 7, 8, 9), lookup=lookup, k=2)
    assert drafter.propose([0, 1], 9).tree.tokens == (5, 6)
    assert drafter.propose([0, 1], 1).tree.tokens == (5,)
    assert drafter.propose([0, 1, 5, 6, 7], 9).tree.tokens == (8, 9)
    assert drafter.propose([0, 1, 5, 6, 7, 3], 9).tree.tokens == ()
    assert drafter.propose([0, 1, 5, 6, 7, 3, 6], 9).tree.tokens == (7, 8)
    lookup = NgramDrafter(k=2, min_ngram=1, max_ngram=3, reference=(5, 6))
    drafter = GivenDrafter(prompt_length=1, given=(5, 6), lookup=lookup, k=2)
    assert drafter.propose([0, 5, 6], 9).tree.tokens == ()


# --- rules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_a_stage_promises_what_its_rule_keeps(name):
    """Options are read without torch, so they say it once more."""
    for temperature in (0.0, 1.0):
        assert options(accept=name).guarantee(temperature) == rule_of(options(accept=name)).guarantee(temperature)


def test_parameters_reach_their_rule_and_no_other():
    typical = options(accept="typical", accept_threshold=0.2, accept_alpha=0.5)
    assert rule_of(typical) == Typical(threshold=0.2, alpha=0.5)
    assert rule_of(options(accept="top_k", accept_k=7, accept_gap=0.5)) == TopK(k=7, gap=0.5)
    (conflict,) = options(accept="match", accept_gap=0.5).conflicts()
    assert conflict.remedies == ("accept_gap=null", "accept=top_k")
    assert not options(accept="top_k", accept_gap=0.5).conflicts()


# --- methods --------------------------------------------------------------------------------------------------------


def test_autoregressive_writes_every_token_itself():
    seen, result = work(Autoregressive(StageOptions()), PROMPT, context())
    ((request, answer),) = seen
    assert request.drafter is None
    assert answer.proposed == 0
    assert set(result.verdicts) == {"corrected"}
    assert set(result.origin) == {"check"}
    assert result.prompt == PROMPT
    assert result.text == CODEC.decode(result.token_ids)
    assert result.guarantee == Guarantee(level="exact", target="tiny")


def test_ngram_writes_the_same_text_in_no_more_rounds():
    ((_, answer),), result = work(Ngram(options()), PROMPT, context())
    assert result.token_ids == written()
    assert answer.proposed > 0
    assert result.verdicts == answer.verdicts
    assert result.rejected == answer.rejected
    assert set(result.origin) == {"check"}
    assert answer.rounds <= len(written()) + 1


def test_sampling_promises_the_law():
    _, result = work(Ngram(options()), PROMPT, context(temperature=1.0))
    assert result.guarantee == Guarantee(level="distribution", target="tiny")


@pytest.mark.parametrize("k", [1, 3, 64])
def test_a_draft_that_the_target_would_have_written_is_accepted_whole(k):
    right = written(12)
    ((_, answer),), result = work(Ngram(options(k=k)), draft_of(right, finish_reason="length"), context(budget=12))
    assert result.token_ids == right
    assert result.verdicts == ("accepted",) * len(right)
    assert result.origin == tuple(f"write{at}" for at in range(len(right)))
    assert result.rejected == ()
    assert result.finish_reason == "length"
    assert answer.rounds == -(-len(right) // (k + 1))


@settings(max_examples=25, deadline=None)
@given(wrong=st.sets(st.integers(0, 9), max_size=3), k=st.integers(1, 8), budget=st.integers(1, 16))
def test_a_draft_with_wrong_tokens_is_corrected_to_the_target_s_text(wrong, k, budget):
    right = written(16)
    tokens = [another(token) if at in wrong else token for at, token in enumerate(right[:10])]
    _, result = work(Ngram(options(k=k)), draft_of(tokens), context(budget=budget))
    assert result.token_ids == right[:budget]
    same = min([*wrong, len(tokens), budget])
    assert result.verdicts[:same] == ("accepted",) * same
    assert result.origin[:same] == tuple(f"write{at}" for at in range(same))
    assert set(result.origin[same:]) <= {"check"}
    if min([*wrong, 99]) < budget:
        first = min(wrong)
        assert result.verdicts[first] == "corrected"
        # The target writes the last token of a block, and of the answer, itself.
        if (first + 1) % (k + 1) and first < budget - 1:
            assert tokens[first] in result.rejected


@pytest.mark.parametrize("budget", [3, 6, 20])
def test_a_passage_is_judged_up_to_its_own_length(budget):
    right = written(16)
    tokens = [*right[:4], another(right[4]), right[5]]
    _, result = work(Ngram(options()), draft_of(tokens, finish_reason="split"), context(budget=budget))
    assert result.token_ids == right[: min(budget, 6)]
    assert result.finish_reason == ("length" if budget < 6 else "split")


def test_a_passage_without_tokens_is_left_as_it_is():
    seen, result = work(Ngram(options()), draft_of((), finish_reason="split"), context())
    assert not seen
    assert result.token_ids == ()
    assert result.finish_reason == "split"


def test_a_verified_text_can_be_judged_again():
    _, once = work(Ngram(options()), PROMPT, context())
    _, twice = work(Ngram(options()), once, context())
    assert twice.token_ids == once.token_ids
    assert set(twice.verdicts) <= {"accepted"}


def test_a_draft_without_a_prompt_is_refused():
    orphan = dataclasses.replace(draft_of(written(4)), prompt=None)
    with pytest.raises(RunError, match="PTG612.*'check'.*which prompt"):
        next(Ngram(options()).run(orphan, context()))


def test_stop_strings_and_budget_reach_the_loop():
    whole = CODEC.decode(written())
    _, result = work(Ngram(options()), PROMPT, context(stop=(whole[5:7],)))
    assert result.text == whole[: whole.index(whole[5:7])]
    assert result.finish_reason == "stop"


@pytest.mark.parametrize("accept", ["speculative", "match"])
def test_judging_a_draft_by_sampling_keeps_the_law(accept):
    """The first two tokens, from 600 seeds: with a draft and without one."""
    where = context(temperature=1.0, budget=2)
    generation = Generation(sampling=Sampling(temperature=1.0, top_k=3), chat=False)

    def frequencies(method, value, first_seed):
        loop = DecodeLoop(MODEL, max_rows=300)
        for seed in range(first_seed, first_seed + 600):
            steps = method.run(value, dataclasses.replace(where, generation=generation, seed=seed))
            loop.admit(next(steps))
        law = {}
        while not loop.idle:
            for answer in loop.round().finished.values():
                law[answer.token_ids] = law.get(answer.token_ids, 0) + 1 / 600
        return law

    plain = frequencies(Autoregressive(StageOptions()), PROMPT, 0)
    judged = frequencies(Ngram(options(accept=accept)), draft_of(written(2)), 10**6)
    distance = sum(abs(plain.get(key, 0) - judged.get(key, 0)) for key in {*plain, *judged}) / 2
    assert distance < 0.09


def test_the_result_is_a_function_of_value_context_and_answers():
    _, one = work(Ngram(options()), PROMPT, context(temperature=1.0))
    _, two = work(Ngram(options()), PROMPT, context(temperature=1.0))
    _, three = work(Ngram(options()), PROMPT, context(temperature=1.0, seed=8))
    assert one == two
    assert one.token_ids != three.token_ids
    assert isinstance(one.prompt, Prompt)
