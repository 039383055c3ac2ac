"""A row is told the same, to the last bit, whatever is proposed to it and whoever shares its pass."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts.settings import Sampling
from ptgflow.engine.sampling import History, Place, predict, unknown_tokens
from ptgflow.engine.trees import EMPTY, TokenTree

CPU = torch.device("cpu")
VOCAB = 300
"""More than is looked at first, so that some lines are decided by their largest logits and some are not."""

tokens = st.integers(0, VOCAB - 1)
samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.5]),
    top_p=st.sampled_from([1.0, 0.9, 0.4]),
    top_k=st.sampled_from([None, 1, 40, 200]),
    min_p=st.sampled_from([0.0, 0.02, 0.5]),
    repetition_penalty=st.sampled_from([1.0, 1.4]),
    presence_penalty=st.sampled_from([0.0, 0.8]),
    logit_bias=st.dictionaries(tokens, st.sampled_from([1.5, -100.0]), max_size=3),
)
# Few different tokens, so that they come again on a path.
texts = st.lists(st.integers(0, 9), max_size=6)
nodes = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 10**6)), max_size=7)


def tree_of(nodes):
    """A tree, of a token for each node and a number that chooses its parent among the nodes before and the text."""
    return TokenTree(
        tuple(token for token, _ in nodes), tuple(pick % (node + 1) - 1 for node, (_, pick) in enumerate(nodes))
    )


def place(sampling, tree, prompt, answer, *, seed=3, vocab=VOCAB):
    history = History(sampling, prompt, vocab, CPU)
    history.extend(answer)
    return Place(sampling=sampling, seed=seed, history=history, tree=tree, start=len(answer), draws=True)


def told(prediction, row):
    """All that can be asked about a row, with its last bit."""
    return (
        prediction.tokens[row],
        prediction.law(row).numpy().tobytes(),
        prediction.scores([row] * 5, [0, 1, 2, 3, prediction.tokens[row]]),
        prediction.top([row], 20),
    )


@settings(max_examples=60, deadline=None)
@given(sampling=samplings, nodes=nodes, prompt=texts, answer=texts, seed=st.integers(0, 10**6))
def test_a_node_is_told_what_its_path_would_be_told_as_text(sampling, nodes, prompt, answer, seed):
    tree = tree_of(nodes)
    logits = 3 * torch.randn(len(tree) + 1, VOCAB, generator=torch.Generator().manual_seed(seed))
    found = predict(logits, [place(sampling, tree, prompt, answer)])
    for node in range(-1, len(tree)):
        path = [tree.tokens[one] for one in tree.path(node)]
        again = predict(logits[node + 1 : node + 2], [place(sampling, EMPTY, prompt, answer + path)])
        assert told(found, node + 1) == told(again, 0)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(samplings, nodes, texts, texts, st.integers(0, 99)), min_size=2, max_size=5),
    seed=st.integers(0, 10**6),
)
def test_a_row_is_told_the_same_in_any_company(rows, seed):
    places = [place(one, tree_of(nodes), prompt, answer, seed=key) for one, nodes, prompt, answer, key in rows]
    count = sum(len(one.tree) + 1 for one in places)
    logits = 3 * torch.randn(count, VOCAB, generator=torch.Generator().manual_seed(seed))
    together = predict(logits, places)
    for at, one in zip(together.offsets, places, strict=True):
        alone = predict(logits[at : at + len(one.tree) + 1], [one])
        for row in range(len(one.tree) + 1):
            assert told(together, at + row) == told(alone, row)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("vocab", [49_152, 50_257])
def test_threads_and_a_large_vocabulary_change_no_bit(two_threads, vocab):
    kinds = [
        Sampling(),
        Sampling(repetition_penalty=1.2),
        Sampling(temperature=0.8),
        Sampling(temperature=0.8, top_p=0.9),
        Sampling(temperature=1.3, top_p=0.99),
        Sampling(temperature=0.7, top_k=50, presence_penalty=0.5),
        Sampling(temperature=1.0, min_p=0.01, logit_bias={5: 4.0}),
    ]
    places = [place(one, TokenTree.chain([at]), [1, 2], [3], seed=at, vocab=vocab) for at, one in enumerate(3 * kinds)]
    logits = 2 * torch.randn(2 * len(places), vocab, generator=torch.Generator().manual_seed(0))
    logits[:, :9] += 12
    together = predict(logits, places)
    for at, one in zip(together.offsets, places, strict=True):
        alone = predict(logits[at : at + 2], [one])
        assert [told(together, at + row) for row in range(2)] == [told(alone, row) for row in range(2)]


def test_laws_asked_one_by_one_are_those_prepared_together():
    warm = Sampling(temperature=0.9, top_p=0.8, repetition_penalty=1.3)
    logits = 3 * torch.randn(8, VOCAB, generator=torch.Generator().manual_seed(4))
    places = [replace(place(warm, TokenTree.chain([1, 2, 1]), [0], [5]), draws=False) for _ in range(2)]
    single, prepared, drawn = (
        predict(logits, places),
        predict(logits, places),
        predict(logits, [replace(one, draws=True) for one in places]),
    )
    prepared.prepare([7, 1, 1, 4])
    for row in (6, 7, 0, 1, 4):
        assert torch.equal(single.law(row), drawn.law(row))
        assert torch.equal(prepared.law(row), drawn.law(row))
    assert single.scores([3, 2], [0, 1]) == drawn.scores([3, 2], [0, 1])


@settings(max_examples=60, deadline=None)
@given(
    prompt=st.lists(tokens, max_size=30),
    parts=st.lists(st.lists(tokens, max_size=60), max_size=5),
    repetition=st.sampled_from([1.0, 1.2]),
    presence=st.sampled_from([0.0, 0.5]),
    bias=st.dictionaries(tokens, st.sampled_from([0.0, 2.0]), max_size=3),
)
def test_a_history_is_the_terms_of_the_tokens_so_far(prompt, parts, repetition, presence, bias):
    sampling = Sampling(repetition_penalty=repetition, presence_penalty=presence, logit_bias=bias)
    history = History(sampling, prompt, VOCAB, CPU)
    for part in parts:
        history.extend(part)
    answer = {token for part in parts for token in part}
    neutral = (1.0, 0.0, 0.0)
    wanted = {
        token: terms
        for token in range(VOCAB)
        if (
            terms := (
                repetition if token in answer or token in prompt else 1.0,
                presence if token in answer else 0.0,
                bias.get(token, 0.0),
            )
        )
        != neutral
    }
    found = {token: tuple(terms) for token, terms in zip(history.ids.tolist(), history.terms.T.tolist(), strict=True)}
    assert {token: terms for token, terms in found.items() if terms != neutral} == wanted
    assert len(found) == len(history.ids)
    assert history.changes == (repetition != 1.0 or presence != 0.0 or any(bias.values()))


def test_a_history_grows_with_its_text():
    history = History(Sampling(presence_penalty=1.0), [1, 2], VOCAB, CPU)
    for begin in range(0, VOCAB, 50):
        history.extend(range(begin, begin + 50))
        assert history.ids.tolist() == list(range(begin + 50))
        assert history.terms.T.tolist() == [[1.0, 1.0, 0.0]] * (begin + 50)


def test_a_history_without_penalties_holds_nothing():
    history = History(Sampling(temperature=1.0, top_p=0.5), range(VOCAB), VOCAB, CPU)
    history.extend([1, 2])
    assert not history.changes
    assert len(history.ids) == 0


def test_biases_beyond_the_vocabulary_are_found():
    sampling = Sampling(logit_bias={9: 1.0, 7: 1.0, 6: 1.0})
    assert unknown_tokens(sampling, 7) == (7, 9)
    assert unknown_tokens(sampling, 10) == ()
    with pytest.raises(AssertionError, match="vocabulary"):
        History(sampling, [], 9, CPU)
