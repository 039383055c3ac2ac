"""Lossy rules: their definitions by direct computation, and the longest path."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ptgflow.engine.acceptance import Bild, Judged, TopK, Typical, walk
from ptgflow.engine.randomness import Purpose
from ptgflow.engine.sampling import draw
from ptgflow.engine.trees import EMPTY, TokenTree

VOCAB = 5


@st.composite
def shapes(draw):
    """The tokens and parents of trees of any shape."""
    parents = [draw(st.integers(-1, node - 1)) for node in range(draw(st.integers(1, 9)))]
    tokens = draw(st.lists(st.integers(0, VOCAB - 1), min_size=len(parents), max_size=len(parents)))
    return tuple(tokens), tuple(parents)


def law(parts):
    return [part / sum(parts) for part in parts]


laws_of_nodes = st.lists(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, 7.0, 20.0]), min_size=VOCAB, max_size=VOCAB).filter(any).map(law),
    min_size=10,
    max_size=10,
)


def surely_typical(p, token, threshold, alpha):
    entropy = -sum(share * math.log(share) for share in p if share > 0)
    enough = min(threshold, alpha * math.exp(-entropy))
    assume(abs(p[token] - enough) > 1e-9)
    return p[token] > enough


def surely_near_the_top(p, token, k, gap):
    if p[token] == 0:
        return False
    below = math.log(max(p)) - math.log(p[token])
    assume(abs(below - gap) > 1e-9 or below == gap == 0.0)
    return sum(share > p[token] for share in p) < k and below <= gap


def longest(tree, laws, tolerated):
    """Of all paths on which each token is tolerated the longest, and of those the one with the earliest siblings."""

    def ranks(path):
        return [tree.children[tree.parents[node] + 1].index(node) for node in path]

    paths = [tree.path(node) for node in range(-1, len(tree))]
    kept = [path for path in paths if all(tolerated(laws[tree.parents[n] + 1], tree.tokens[n]) for n in path)]
    return min(kept, key=lambda path: (-len(path), ranks(path)))


def check(rule, tree, laws, chance, tolerated):
    rows, asked = torch.tensor(laws, dtype=torch.float64), []

    def numbers(position, purpose, attempt=0):
        asked.append((position, purpose, attempt))
        return chance

    path = longest(tree, laws, tolerated)
    end = path[-1] + 1 if path else 0
    expected = Judged(path=path, token=draw(rows[end], chance))
    assert rule.judge(lambda at: rows[at], tree, None, 4, numbers) == expected
    assert asked == [(4 + len(path), Purpose.DRAW, 0)]
    return path, rows, end


probabilities = st.floats(0.001, 1.0)
chances = st.floats(0.0, 1.0, exclude_max=True)


@settings(max_examples=100, deadline=None)
@given(shape=shapes(), laws=laws_of_nodes, threshold=probabilities, alpha=probabilities, chance=chances)
def test_typical_keeps_what_is_likely_or_likely_for_the_entropy(shape, laws, threshold, alpha, chance):
    rule = Typical(threshold=threshold, alpha=alpha)
    check(rule, TokenTree(*shape), laws, chance, lambda p, token: surely_typical(p, token, threshold, alpha))


@settings(max_examples=100, deadline=None)
@given(
    shape=shapes(),
    laws=laws_of_nodes,
    k=st.integers(1, VOCAB + 1),
    gap=st.sampled_from([0.0, 0.5, 1.0, 2.5, math.inf]),
    chance=chances,
)
def test_top_k_keeps_what_is_among_the_best_and_near_the_best(shape, laws, k, gap, chance):
    rule, tree = TopK(k=k, gap=gap), TokenTree(*shape)
    path, rows, end = check(rule, tree, laws, chance, lambda p, token: surely_near_the_top(p, token, k, gap))
    assert rule.judge_greedily(lambda at: rows[at], tree) == Judged(path=path, token=int(rows[end].argmax()))


@settings(max_examples=100, deadline=None)
@given(shape=shapes(), laws=laws_of_nodes, rollback=st.sampled_from([0.0, 0.7, 1.5, 4.0]), chance=chances)
def test_bild_keeps_what_costs_the_target_no_more_than_the_threshold(shape, laws, rollback, chance):
    rule, tree = Bild(rollback=rollback), TokenTree(*shape)
    path, rows, end = check(
        rule, tree, laws, chance, lambda p, token: p[token] > 0 and -math.log(p[token]) <= rollback + 1e-12
    )
    assert rule.judge_greedily(lambda at: rows[at], tree) == Judged(path=path, token=int(rows[end].argmax()))


@settings(max_examples=100, deadline=None)
@given(laws=laws_of_nodes, threshold=probabilities, alpha=st.floats(0.001, 0.999))
def test_typical_always_keeps_the_likeliest_token(laws, threshold, alpha):
    rows = torch.tensor(laws, dtype=torch.float64)
    # With a threshold of 1 and a target that is certain nothing is above the threshold, but alpha is below it.
    tree = TokenTree.chain(rows[:9].argmax(dim=-1).tolist())
    judged = Typical(threshold=threshold, alpha=alpha).judge(lambda at: rows[at], tree, None, 0, lambda *key: 0.5)
    assert judged.path == tuple(range(9))


@settings(max_examples=100, deadline=None)
@given(shape=shapes(), seed=st.integers(0, 2**31))
def test_the_best_of_one_is_a_walk(shape, seed):
    tree = TokenTree(*shape)
    rows = torch.rand(10, VOCAB, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    tokens = rows[: len(tree) + 1].argmax(dim=-1).tolist()
    assume(len({*zip(tree.parents, tree.tokens, strict=True)}) == len(tree))
    assert TopK(k=1).judge_greedily(lambda at: rows[at], tree) == walk(tree, tokens)
    assert TopK(gap=0.0).judge_greedily(lambda at: rows[at], tree) == walk(tree, tokens)


def test_the_published_parameters_at_a_hand_computed_place():
    # H = 1.0275 nats, so that alpha exp(-H) = 0.1074 and the threshold of 0.09 decides.
    sure = [0.5, 0.35, 0.095, 0.05, 0.005]
    # H = ln 5, so that 0.3 / 5 = 0.06 decides, and all of the five are kept.
    unsure = [0.2] * 5
    tree = TokenTree((0, 1, 2, 3, 4), (-1,) * 5)
    for p, typical, near in ((sure, {0, 1, 2}, {0, 1}), (unsure, {0, 1, 2, 3, 4}, {0, 1, 2, 3, 4})):
        rows = torch.tensor([p] * 6, dtype=torch.float64)
        for rule, kept in ((Typical(), typical), (TopK(), near)):
            alone = [TokenTree.chain([token]) for token in tree.tokens]
            found = [rule.judge(lambda at, rows=rows: rows[at], one, None, 0, lambda *key: 0.5).path for one in alone]
            assert {token for token, path in enumerate(found) if path} == kept
            assert rule.judge(lambda at, rows=rows: rows[at], tree, None, 0, lambda *key: 0.5).path == (0,)


def test_what_is_just_at_the_bound():
    rows = torch.tensor([[0.5, 0.25, 0.25]] * 2, dtype=torch.float64)
    tree = TokenTree.chain([1])

    def keeps(rule):
        return bool(rule.judge(lambda at: rows[at], tree, None, 0, lambda *key: 0.5).path)

    alpha = 0.25 * math.exp(1.5 * math.log(2.0))  # The entropy is 3/2 ln 2.
    assert not keeps(Typical(threshold=0.25, alpha=1.0))
    assert keeps(Typical(threshold=0.2499, alpha=1.0))
    assert not keeps(Typical(threshold=1.0, alpha=alpha * 1.0001))
    assert keeps(Typical(threshold=1.0, alpha=alpha * 0.9999))
    assert keeps(TopK(k=2, gap=math.log(2.0) * 1.0001)), "one of two that are equally likely"
    assert not keeps(TopK(k=2, gap=math.log(2.0) * 0.9999))
    assert not keeps(TopK(k=1, gap=math.log(2.0) * 1.0001))


def test_where_equally_long_paths_part_the_earlier_sibling_is_kept():
    rows = torch.full((5, VOCAB), 1 / VOCAB, dtype=torch.float64)
    tree = TokenTree((0, 1, 2, 3), (-1, -1, 1, 0))
    assert TopK(k=VOCAB).judge_greedily(lambda at: rows[at], tree).path == (0, 3)
    assert TopK().judge_greedily(lambda at: rows[at], EMPTY) == Judged(path=(), token=0)


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1, math.nan])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(AssertionError, match="threshold"):
        Typical(threshold=threshold)


@pytest.mark.parametrize("alpha", [0.0, -1.0, 1.5, math.nan])
def test_alpha_is_a_share(alpha):
    with pytest.raises(AssertionError, match="alpha"):
        Typical(alpha=alpha)


@pytest.mark.parametrize("wrong", [{"k": 0}, {"k": -2}, {"gap": -0.1}, {"gap": math.nan}])
def test_the_best_are_some_and_the_gap_is_a_distance(wrong):
    with pytest.raises(AssertionError, match="likeliest"):
        TopK(**wrong)
