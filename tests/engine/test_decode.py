"""The loop on the tiny model, beside `generate` and beside itself."""

import random
from functools import cache
from unittest import mock

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.acceptance import Match, Speculative, without_replacement
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import DecodeRequest, Proposal
from ptgflow.engine.trees import TokenTree

CONTEXT = 96
CARD = ModelCard(name="tiny", source="tiny", context_length=CONTEXT, device="cpu", dtype="float32")
MODEL = load_model(CARD)
PLAIN = load_model(CARD, Accelerate(forward="transformers"))
CODEC = MODEL.codec
EOS = min(CODEC.eos_ids)
QUICK = (Phase.explicit, Phase.reuse, Phase.generate)
"""Shrinking would run a model thousands of times."""
WORDS = ("the", " and", "ing", "x", " a", "er on", "Q?", "\u00e9", " the the")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def greedy(prompt, count):
    """What `generate` writes with no end token in force, and the smallest gap between its best two logits."""
    with torch.random.fork_rng():
        out = PLAIN.network.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=count,
            eos_token_id=None,
            pad_token_id=0,
            return_dict_in_generate=True,
            output_logits=True,
        )
    best = [step[0].topk(2).values for step in out.logits]
    return tuple(out.sequences[0, len(prompt) :].tolist()), min(float(top[0] - top[1]) for top in best)


def until_end(tokens):
    ends = [at for at, token in enumerate(tokens) if token in CODEC.eos_ids]
    return tokens[: ends[0]] if ends else tokens


class Guess:
    """Proposes the right continuation with some wrong tokens in it, end tokens among them; as a chain or as a tree."""

    def __init__(self, prompt, right, seed, width, errors, tree=False):
        self.prompt, self.right, self.width, self.errors, self.tree = prompt, right, width, errors, tree
        self.random = random.Random(seed)

    def propose(self, context, limit):
        assert tuple(context[: len(self.prompt)]) == self.prompt
        start = len(context) - len(self.prompt)
        draft = [self._spoiled(token) for token in self.right[start : start + min(limit, self.width)]]
        if not self.tree:
            return Proposal(tree=TokenTree.chain(draft))
        # The right tokens hang from any node, so that some are reached, some are not, and some are there twice.
        parents, tokens = [], []
        for node in range(len(draft)):
            parents.append(self.random.choice([node - 1, node - 1, self.random.randint(-1, node - 1)]))
            depth = TokenTree(tuple(range(node + 1)), tuple(parents)).depths[-1]
            tokens.append(self._spoiled(self.right[start + depth]))
        return Proposal(tree=TokenTree(tuple(tokens), tuple(parents)))

    def _spoiled(self, token):
        return self.random.choice([EOS, *range(4, 40)]) if self.random.random() < self.errors else token


def run(loop, requests, joins=None):
    """Admit requests (number i before round `joins[i]`) and run; results and the text that was told, in order."""
    joins = joins or [0] * len(requests)
    ids, done, told, number = {}, {}, {}, 0
    while len(ids) < len(requests) or not loop.idle:
        for at, request in enumerate(requests):
            if at not in ids and (joins[at] <= number or loop.idle):
                ids[at] = loop.admit(request)
        finished = loop.round()
        loop._pass.cache.check()
        assert not finished.failed
        number += 1
        done |= finished.finished
        for row, text in finished.settled.items():
            told[row] = told.get(row, "") + text
    return [done[ids[at]] for at in range(len(requests))], [told.get(ids[at], "") for at in range(len(requests))]


def consistent(decoded, told):
    assert CODEC.decode(decoded.token_ids) == decoded.text
    assert told == decoded.text
    assert len(decoded.scores) == len(decoded.verdicts) == len(decoded.token_ids)
    assert all(score <= 0 for score in decoded.scores)
    assert decoded.proposed == decoded.accepted + len(decoded.rejected)
    assert decoded.rounds == len(decoded.passes) > decoded.verify_rounds


prompts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map("".join)
rows = st.lists(
    st.tuples(
        prompts,
        st.integers(1, 24),  # tokens
        st.integers(0, 6),  # width of the drafts
        st.sampled_from([0.0, 0.2, 0.7]),  # wrong proposals
        st.integers(0, 8),  # joins before this round
        st.booleans(),  # a tree
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=30, deadline=None, phases=QUICK)
@given(
    rows=rows,
    room=st.integers(1, 4),
    seed=st.integers(0, 999),
    accept=st.sampled_from([Speculative(), Match()]),
    model=st.sampled_from([MODEL, PLAIN]),
    chunk=st.sampled_from([1, 3, 512]),
)
def test_greedy_text_is_that_of_generate_whatever_is_proposed_and_batched(rows, room, seed, accept, model, chunk):
    requests, expected = [], []
    for at, (text, count, width, errors, _, tree) in enumerate(rows):
        prompt = CODEC.encode(text)
        right, gap = greedy(prompt, 32)
        if gap < 1e-3:
            return  # A tie may fall either way.
        guess = Guess(prompt, right, seed + at, width, errors, tree)
        drafter = guess if width else None
        requests.append(DecodeRequest(prompt_ids=prompt, max_new_tokens=count, drafter=drafter, accept=accept))
        expected.append(right[:count])
    decoded, told = run(DecodeLoop(model, max_rows=room, chunk=chunk), requests, [row[4] for row in rows])
    for answer, text, right in zip(decoded, told, expected, strict=True):
        consistent(answer, text)
        assert answer.token_ids == until_end(right)
        assert answer.finish_reason == ("length" if until_end(right) == right else "stop")


@settings(max_examples=15, deadline=None, phases=QUICK)
@given(
    rows=rows,
    seed=st.integers(0, 2**62),
    sampling=st.builds(
        Sampling,
        temperature=st.sampled_from([0.5, 1.0, 2.0]),
        top_p=st.sampled_from([0.8, 1.0]),
        repetition_penalty=st.sampled_from([1.0, 1.2]),
    ),
)
def test_a_seed_gives_one_text_in_any_batch_and_under_match_with_any_draft(rows, seed, sampling):
    def requests(drafted):
        return [
            DecodeRequest(
                prompt_ids=prompt,
                max_new_tokens=count,
                sampling=sampling,
                seed=seed + at,
                accept=Match(),
                drafter=Guess(prompt, greedy(prompt, 32)[0], at, width, errors, tree) if drafted and width else None,
            )
            for at, (text, count, width, errors, _, tree) in enumerate(rows)
            for prompt in [CODEC.encode(text)]
        ]

    alone = [run(DecodeLoop(MODEL, max_rows=1), [request])[0][0] for request in requests(drafted=False)]
    together, told = run(DecodeLoop(MODEL, max_rows=3), requests(drafted=True), [row[4] for row in rows])
    for one, other, text in zip(alone, together, told, strict=True):
        consistent(other, text)
        assert one.token_ids == other.token_ids
        assert one.finish_reason == other.finish_reason
        torch.testing.assert_close(torch.tensor(one.scores), torch.tensor(other.scores), atol=1e-3, rtol=1e-3)


class Drawn:
    """Draws two siblings without replacement from a law of its own, and says from which."""

    def __init__(self, right, seed):
        self.law = torch.zeros(MODEL.vocab_size, dtype=torch.float64)
        self.law[[*set(right), 5, 6, 7]] = 1.0
        self.law /= self.law.sum()
        self.random = random.Random(seed)

    def propose(self, context, limit):
        tokens, laws = without_replacement(self.law, [self.random.random() for _ in range(min(2, limit))])
        return Proposal(tree=TokenTree(tokens, (-1,) * len(tokens)), laws=laws)


@pytest.mark.parametrize("kind", ["a chain that was looked up", "siblings that were drawn"])
def test_speculative_sampling_keeps_the_law_of_the_first_two_tokens(kind):
    """The rule by itself is enumerated exactly elsewhere; here the loop feeds it, so frequencies must agree."""
    prompt = CODEC.encode("the")
    sampling = Sampling(temperature=1.0, top_k=3)
    right = greedy(prompt, 4)[0]

    def frequencies(drafted):
        requests = [
            DecodeRequest(
                prompt_ids=prompt,
                max_new_tokens=3,
                sampling=sampling,
                seed=(10**6 if drafted else 0) + seed,
                drafter=drafter(seed) if drafted else None,
            )
            for seed in range(700)
        ]
        counts = {}
        for answer in run(DecodeLoop(MODEL, max_rows=350), requests)[0]:
            counts[answer.token_ids[:2]] = counts.get(answer.token_ids[:2], 0) + 1 / len(requests)
        return counts

    def drafter(seed):
        return Guess(prompt, right, seed, 2, 0.3) if kind.startswith("a chain") else Drawn(right, seed)

    plain, speculated = frequencies(drafted=False), frequencies(drafted=True)
    distance = sum(abs(plain.get(key, 0) - speculated.get(key, 0)) for key in {*plain, *speculated}) / 2
    assert distance < 0.08


@pytest.mark.parametrize("place", [0, 1, 2, 5])
def test_an_end_token_inside_an_accepted_block_ends_the_text_there(place):
    """The weights are changed so that the target writes an end token at `place`, and again after it."""
    prompt = CODEC.encode("ing and")
    right = greedy(prompt, 12)[0]
    block = [*right[:place], EOS, EOS, *right[place : place + 2]]

    class Block:
        def propose(self, context, limit):
            return Proposal(tree=TokenTree.chain(block[len(context) - len(prompt) :][:limit]))

    forward = PLAIN.network.forward

    def ending(*args, position_ids, **kwargs):
        output = forward(*args, position_ids=position_ids, **kwargs)
        kept = position_ids[:, -output.logits.shape[1] :]
        output.logits[kept >= len(prompt) - 1 + place, EOS] += 1000.0
        return output

    with mock.patch.object(PLAIN.network, "forward", ending):
        (answer,), (told,) = run(DecodeLoop(PLAIN, max_rows=2), [request_of(prompt, 12, Block())])
    consistent(answer, told)
    assert answer.token_ids == right[:place]
    assert answer.finish_reason == "stop"
    assert answer.verdicts == ("accepted",) * place
    assert answer.accepted == place + 1
    assert answer.rejected == (EOS, *right[place : place + 2])
    assert answer.rounds == 1


def request_of(prompt, count, drafter=None, **more):
    return DecodeRequest(prompt_ids=prompt, max_new_tokens=count, drafter=drafter, **more)


@settings(max_examples=30, deadline=None, phases=QUICK)
@given(text=prompts, data=st.data(), width=st.integers(0, 8))
def test_a_stop_string_anywhere_gives_the_same_text_with_and_without_drafts(text, data, width):
    prompt = CODEC.encode(text)
    right, gap = greedy(prompt, 32)
    whole = CODEC.decode(until_end(right[:24]))
    if gap < 1e-3 or not whole:
        return
    start = data.draw(st.integers(0, len(whole) - 1))
    stop = whole[start : start + data.draw(st.integers(1, 3))]
    if "\ufffd" in stop:
        return
    drafter = Guess(prompt, right, 1, width, 0.2) if width else None
    (answer,), (told,) = run(DecodeLoop(MODEL, max_rows=1), [request_of(prompt, 24, drafter, stop=(stop, "@@@@"))])
    consistent(answer, told)
    assert answer.text == whole[: whole.index(stop)]
    assert answer.finish_reason == "stop"


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("width", [0, 1, 5])
def test_the_token_limit_is_never_exceeded(count, width):
    prompt = CODEC.encode("x")
    right = greedy(prompt, 12)[0]
    drafter = Guess(prompt, right, 0, width, 0.0) if width else None
    (answer,), _ = run(DecodeLoop(MODEL, max_rows=1), [request_of(prompt, count, drafter)])
    assert answer.token_ids == right[:count]
    assert answer.finish_reason == "length"
    assert answer.rounds == max(1, -(-count // (width + 1)))
    assert answer.proposed < count


@pytest.mark.parametrize("width", [0, 6])
def test_a_text_ends_where_the_context_is_full(width):
    prompt = CODEC.encode("x" * (CONTEXT - 7))
    assert len(prompt) == CONTEXT - 7
    drafter = Guess(prompt, (9,) * 40, 0, width, 0.0) if width else None
    (answer,), _ = run(DecodeLoop(MODEL, max_rows=1), [request_of(prompt, 50, drafter)])
    assert answer.token_ids == until_end(greedy(prompt, 7)[0])
    assert answer.finish_reason == "length"
