"""What a pass predicts, with transformers' own processors and the definitions of penalties and biases as oracles."""

import math
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from ptgflow.contracts.settings import Sampling
from ptgflow.engine.randomness import Purpose, uniform
from ptgflow.engine.sampling import History, Place, blocks, draw, draws, filtering, predict
from ptgflow.engine.trees import EMPTY, TokenTree

VOCAB = 23
CPU = torch.device("cpu")

tokens = st.integers(0, VOCAB - 1)
penalties = {
    "repetition_penalty": st.sampled_from([1.0, 1.3, 0.7, 5.0]),
    "presence_penalty": st.sampled_from([0.0, 0.5, -1.5, 30.0]),
    "logit_bias": st.dictionaries(tokens, st.sampled_from([0.0, 0.3, -2.0, 100.0, -100.0]), max_size=4),
}
warm = st.builds(
    Sampling,
    temperature=st.floats(0.05, 5.0),
    top_p=st.one_of(st.just(1.0), st.floats(0.05, 1.0)),
    top_k=st.one_of(st.none(), st.integers(1, 40)),
    min_p=st.one_of(st.just(0.0), st.floats(0.0, 1.0)),
    **penalties,
)
samplings = st.one_of(warm, st.builds(Sampling, **penalties))


nodes = st.lists(st.tuples(tokens, st.integers(0, 10**6)), max_size=4)
asked = st.lists(
    st.tuples(samplings, nodes, st.lists(tokens, min_size=1, max_size=20), st.lists(tokens, max_size=8)),
    min_size=1,
    max_size=3,
)


def tree_of(nodes):
    """A tree, of a token for each node and a number that chooses its parent among the nodes before and the text."""
    return TokenTree(
        tuple(token for token, _ in nodes), tuple(pick % (node + 1) - 1 for node, (_, pick) in enumerate(nodes))
    )


@contextmanager
def cut(size):
    """Small blocks and few looks, so that a small vocabulary goes all the ways that a large one goes."""
    with pytest.MonkeyPatch.context() as patch:
        if size is not None:
            patch.setattr(filtering, "LOOKS", (size, 2 * size))
            patch.setattr(blocks, "NARROW", 2)
            patch.setattr(blocks, "WIDE", 4)
            patch.setattr(draws, "WIDE", 4)
        yield


def lines(count, seed, steps=None):
    """Logits, in single precision; in few steps, so that many are equal."""
    made = 4 * torch.randn(count, VOCAB, generator=torch.Generator().manual_seed(seed))
    return made if steps is None else (made * steps).round() / steps


def remembered(sampling, prompt, answer):
    history = History(sampling, prompt, VOCAB, CPU)
    for token in answer:
        history.extend([token])
    return history


def place(sampling, tree, prompt, answer, *, seed=7, draws=True):
    return Place(
        sampling=sampling,
        seed=seed,
        history=remembered(sampling, prompt, answer),
        tree=tree,
        start=len(answer),
        draws=draws,
    )


def changed(logits, sampling, prompt, answer):
    """Penalties and biases by their definitions, token by token."""
    before = torch.tensor([prompt + answer])
    found = RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty)(before, logits[None])[0]
    for token in set(answer):
        found[token] = found[token] - sampling.presence_penalty
    for token, bias in sampling.logit_bias:
        found[token] = found[token] + bias
    return found


def reference(logits, sampling, prompt, answer):
    """One line through transformers' processors, in the order in which `generate` puts them."""
    steps = LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature)])
    if sampling.top_k is not None:
        steps.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1.0:
        steps.append(TopPLogitsWarper(sampling.top_p))
    steps.append(MinPLogitsWarper(sampling.min_p))
    scores = changed(logits, sampling, prompt, answer).double()[None]
    return steps(torch.tensor([prompt]), scores)[0].log_softmax(-1)


@settings(max_examples=80, deadline=None)
@given(
    rows=asked,
    seed=st.integers(0, 10**6),
    steps=st.sampled_from([None, None, 2]),
    size=st.sampled_from([None, 1, 2, 5]),
)
def test_every_line_equals_transformers_processors(rows, seed, steps, size):
    rows = [(sampling, tree_of(nodes), prompt, answer) for sampling, nodes, prompt, answer in rows]
    logits = lines(sum(len(tree) + 1 for _, tree, _, _ in rows), seed, steps)
    with cut(size):
        found = predict(logits, [place(*row) for row in rows])
        for at, (sampling, tree, prompt, answer) in zip(found.offsets, rows, strict=True):
            depths = (-1, *tree.depths)
            for node in range(-1, len(tree)):
                row = at + node + 1
                text = answer + [tree.tokens[one] for one in tree.path(node)]
                law = found.law(row)
                assert float(law.sum()) == pytest.approx(1.0, abs=1e-12)
                if sampling.temperature == 0:
                    theirs = logits[row].double().log_softmax(-1)
                    assert found.tokens[row] == int(changed(logits[row], sampling, prompt, text).argmax())
                else:
                    theirs = reference(logits[row], sampling, prompt, text)
                    chance = uniform(7, len(answer) + depths[node + 1] + 1, Purpose.DRAW)
                    assert found.tokens[row] == draw(law, chance)
                shares, wanted = law, theirs.exp()
                if steps is not None and sampling.top_p < 1.0:
                    # Which of equal tokens top-p keeps depends in transformers on how the machine sorts.
                    shares, wanted = shares.sort().values, wanted.sort().values
                assert torch.equal(shares > 0, wanted > 0)
                torch.testing.assert_close(shares, wanted, rtol=1e-9, atol=1e-12)
                scores = torch.tensor(found.scores([row] * VOCAB, range(VOCAB)), dtype=torch.float64)
                torch.testing.assert_close(scores.exp(), law, rtol=1e-9, atol=1e-300)
                assert torch.equal(scores > -math.inf, law > 0)


def alone(logits, sampling, *, prompt=(0,), answer=(), tree=EMPTY):
    return predict(logits, [place(sampling, tree, list(prompt), list(answer))])


def test_the_likeliest_token_is_the_first_of_equals_after_penalties():
    equal = torch.zeros(1, VOCAB)
    assert alone(equal, Sampling()).tokens == [0]
    assert alone(equal, Sampling(repetition_penalty=2.0)).tokens == [0]
    assert alone(equal + 1, Sampling(repetition_penalty=2.0)).tokens == [1]
    assert alone(equal - 1, Sampling(repetition_penalty=0.5)).tokens == [0]
    assert alone(equal, Sampling(presence_penalty=0.1), answer=[0, 1]).tokens == [2]
    assert alone(equal, Sampling(presence_penalty=0.1), prompt=[0, 1]).tokens == [0]
    assert alone(equal, Sampling(logit_bias={4: 0.1, 5: 0.1})).tokens == [4]


def test_a_penalty_at_a_node_sees_the_text_its_ancestors_and_itself_only():
    tree = TokenTree((1, 2, 3, 2), (-1, 0, -1, 2))
    found = alone(torch.zeros(5, VOCAB), Sampling(presence_penalty=1.0, temperature=1.0), answer=[0], tree=tree)
    penalised = [set((found.law(row) < 0.9 / VOCAB).nonzero()[:, 0].tolist()) for row in range(5)]
    assert penalised == [{0}, {0, 1}, {0, 1, 2}, {0, 3}, {0, 2, 3}]


def test_a_bias_stays_when_a_penalty_comes_to_its_token():
    sampling = Sampling(presence_penalty=0.5, logit_bias={2: 1.0}, temperature=1.0)
    ratios = [
        float(found.law(row)[2] / found.law(row)[9])
        for found, row in [
            (alone(torch.zeros(1, VOCAB), sampling), 0),
            (alone(torch.zeros(1, VOCAB), sampling, answer=[2]), 0),
            (alone(torch.zeros(2, VOCAB), sampling, tree=TokenTree.chain([2])), 1),
        ]
    ]
    assert ratios == pytest.approx([math.exp(1.0), math.exp(0.5), math.exp(0.5)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_logits_are_left_as_they_were(dtype):
    logits = lines(3, 0).to(dtype)
    copy = logits.clone()
    changing = Sampling(temperature=0.7, repetition_penalty=2.0, presence_penalty=1.0, logit_bias={1: 3.0}, top_p=0.5)
    for one in (changing, changing.model_copy(update={"temperature": 0.0}), Sampling(temperature=0.7), Sampling()):
        found = alone(logits, one, answer=[3], tree=TokenTree.chain([4, 5]))
        found.law(1), found.top([0, 2], 3)
        assert torch.equal(logits, copy)


def test_nothing_is_drawn_where_no_draw_is_wanted():
    warmed = Sampling(temperature=1.0)
    logits = lines(4, 1)
    found = predict(
        logits,
        [
            place(warmed, TokenTree.chain([1]), [0], [], draws=False),
            place(Sampling(), EMPTY, [0], [], draws=False),
            place(warmed, EMPTY, [0], [], draws=True),
        ],
    )
    assert found.offsets == [0, 2, 3]
    assert found.tokens[:2] == [-1, -1]
    assert found.tokens[2] == int(logits[2].argmax())
    assert found.tokens[3] >= 0
    torch.testing.assert_close(found.law(1), logits[1].double().softmax(-1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_logits_in_other_precisions(dtype):
    """Half precision is exact in single precision, where penalties are computed."""
    logits = lines(3, 5).to(dtype)
    for sampling in (
        Sampling(repetition_penalty=1.3, logit_bias={3: 0.1}),
        Sampling(temperature=0.9, top_p=0.8),
        Sampling(temperature=0.9, repetition_penalty=1.3, presence_penalty=0.1),
    ):
        asks = {"answer": [3, 4], "tree": TokenTree.chain([5, 6])}
        ours = alone(logits, sampling, **asks)
        single = alone(logits.float(), sampling, **asks)
        assert ours.tokens == single.tokens
        for row in range(3):
            torch.testing.assert_close(ours.law(row), single.law(row), rtol=1e-5, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(sampling=samplings, seed=st.integers(0, 10**6), count=st.integers(0, 20), size=st.sampled_from([None, 1, 3]))
def test_the_likeliest_tokens_are_those_of_the_law_with_their_scores(sampling, seed, count, size):
    with cut(size):
        found = predict(lines(3, seed), [place(sampling, TokenTree.chain([1, 2]), [4], [5])])
        for row, listed in zip([2, 0], found.top([2, 0], count), strict=True):
            law = found.law(row)
            wanted = sorted(range(VOCAB), key=lambda token: -float(law[token]))[:count]
            assert {token for token, _ in listed} == {token for token in wanted if law[token] > 0}
            assert [score for _, score in listed] == found.scores([row] * len(listed), [token for token, _ in listed])
            assert list(listed) == sorted(listed, key=lambda pair: (-pair[1], pair[0]))


def test_equal_tokens_are_listed_by_their_ids_and_impossible_ones_not_at_all():
    logits = torch.full((1, VOCAB), -torch.inf)
    logits[0, [9, 4, 7]] = torch.tensor([1.0, 1.0, 2.0])
    for sampling in (Sampling(), Sampling(temperature=1.0), Sampling(temperature=1.0, min_p=0.1)):
        [listed] = alone(logits, sampling).top([0], 20)
        assert [token for token, _ in listed] == [7, 4, 9]


def test_scores_are_never_positive_and_filtered_tokens_have_minus_infinity():
    logits = torch.zeros(1, VOCAB)
    logits[0, 3] = 80.0
    for sampling in (Sampling(), Sampling(temperature=1.0), Sampling(temperature=0.3, top_k=1)):
        [score] = alone(logits, sampling).scores([0], [3])
        assert 0.0 >= score > -1e-12
    assert alone(logits, Sampling(temperature=1.0, top_k=1)).scores([0, 0], [2, 3]) == [-math.inf, 0.0]
    assert alone(logits, Sampling()).scores([0], [2]) == pytest.approx([-80.0])
