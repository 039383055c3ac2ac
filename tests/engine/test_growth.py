"""Tree builders on toy drafters: their shapes, and their optimum against brute force over all trees."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.engine.growth import TREES, Candidates, grow_together
from ptgflow.engine.growth.builder import Grown
from ptgflow.engine.growth.dynamic import DynamicDepth, DySpec, Eagle2, OptTree
from ptgflow.engine.growth.shaped import Sequoia, best_shape
from ptgflow.engine.growth.tree_drafter import without_echoes
from ptgflow.engine.trees import TokenTree

VOCAB = 4


def toy(seed):
    """A drafter over four tokens: what may follow a path, the likeliest first."""

    def law(path):
        weights = [math.sin(seed * 7.3 + hash((path, token)) % 1000) ** 2 + 0.01 for token in range(VOCAB)]
        total = sum(weights)
        order = sorted(range(VOCAB), key=lambda token: -weights[token])
        return Candidates(tuple(order), tuple(weights[token] / total for token in order))

    return law


def grown(builder, law, limit, least=0.0):
    calls = []

    def expand(wanted):
        calls.append(sum(len(one.nodes) for _, one in wanted))
        return [
            [law(tuple(one.tree.tokens[step] for step in one.tree.path(node))) for node in one.nodes]
            for _, one in wanted
        ]

    (found,) = grow_together(builder, [limit], expand, least=least)
    return found, calls


def best_expectation(law, limit, depth):
    """Of all trees of at most so many nodes and levels: brute force over connected sets of nodes."""
    nodes, values = [()], {(): 1.0}
    for _ in range(depth):
        for path in [one for one in nodes if len(one) == len(nodes[-1])]:
            found = law(path)
            for token, chance in zip(found.tokens, found.chances, strict=True):
                values[(*path, token)] = values[path] * chance
        nodes = list(values)
    best, real = 0.0, [node for node in nodes if node]
    for count in range(limit + 1):
        for chosen in itertools.combinations(real, count):
            if all(node[:-1] in chosen or len(node) == 1 for node in chosen):
                best = max(best, sum(values[node] for node in chosen))
    return best


@pytest.mark.parametrize("name", TREES)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), limit=st.integers(1, 20))
def test_a_tree_has_what_it_may_have(name, seed, limit):
    law = toy(seed)
    found, _ = grown(TREES[name](), law, limit)
    tree = found.tree
    assert 1 <= len(tree) <= limit
    assert len(found.survival) == len(tree)
    for node, parent in enumerate(tree.parents):
        path = tuple(tree.tokens[step] for step in tree.path(node))
        listed = law(path[:-1])
        assert found.chances[node] == pytest.approx(listed.chances[listed.tokens.index(path[-1])])
        assert found.survival[node] <= (found.survival[parent] if parent >= 0 else 1.0)
    for children in tree.children:
        assert len({tree.tokens[child] for child in children}) == len(children), "siblings differ"


@pytest.mark.parametrize("builder", [OptTree(depth=3), DySpec(depth=3)])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), limit=st.integers(1, 4))
def test_the_dynamic_trees_have_the_most_expected_tokens(builder, seed, limit):
    law = toy(seed)
    found, _ = grown(builder, law, limit)
    assert sum(found.survival) == pytest.approx(best_expectation(law, limit, 3))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), limit=st.integers(1, 12))
def test_dyspec_asks_a_level_at_a_time(seed, limit):
    """Where the paper expands one node at a time, of which there are as many as the tree has."""
    found, calls = grown(DySpec(), toy(seed), limit)
    assert len(calls) <= max(found.tree.depths) + 2


@settings(max_examples=40, deadline=None)
@given(
    rates=st.lists(st.floats(0.05, 0.45), min_size=1, max_size=3),
    size=st.integers(1, 6),
    depth=st.integers(1, 4),
)
def test_sequoia_has_the_best_shape_for_its_rates(rates, size, depth):
    rates = tuple(sorted(rates, reverse=True))
    shape = best_shape(rates, size, depth)
    assert len(shape.parents) <= size
    values = []
    for parent, rank in zip(shape.parents, shape.ranks, strict=True):
        values.append(rates[rank] * (values[parent] if parent >= 0 else 1.0))
    law = lambda path: Candidates(tuple(range(len(rates))), rates)  # noqa: E731
    assert sum(values) == pytest.approx(best_expectation(law, size, depth) if size <= 4 else sum(values))
    assert max(shape.depths(), default=0) <= depth


def test_sequoia_follows_the_rates_that_it_observes():
    sure, unsure = Sequoia(memory=20), Sequoia(memory=20)
    chain, fan = TokenTree.chain((1, 2, 3, 4)), TokenTree((1, 2, 3, 4), (-1, -1, -1, -1))
    for _ in range(200):
        sure.learn(chain, (0, 1, 2, 3))
        unsure.learn(fan, ())
    assert sure.rates[0] > 0.95
    assert unsure.rates[0] < 0.1
    depth_of = lambda builder: max(grown(builder, toy(3), 8)[0].tree.depths)  # noqa: E731
    assert depth_of(sure) > depth_of(unsure)


def test_eagle2_expands_the_likeliest_of_a_level_and_keeps_the_likeliest_of_all():
    law = toy(5)
    found, calls = grown(Eagle2(depth=3, width=2), law, 5)
    assert calls == [1, 2, 2]
    everything, _ = grown(Eagle2(depth=3, width=2), law, 100)
    assert sorted(found.survival, reverse=True) == sorted(everything.survival, reverse=True)[:5]


def test_dynamic_depth_stops_where_a_level_is_unlikely():
    law = toy(5)
    _, deep = grown(DynamicDepth(depth=6, width=2, threshold=0.0), law, 30)
    _, shallow = grown(DynamicDepth(depth=6, width=2, threshold=0.7), law, 30)
    assert len(deep) == 6
    assert len(shallow) < 6


def test_what_the_drafter_is_unsure_of_is_not_drafted():
    law = toy(5)
    first = law(()).chances
    found, _ = grown(TREES["opt_tree"](), law, 20, least=first[1])
    assert all(chance >= first[1] for chance in found.chances)
    nothing, _ = grown(TREES["chain"](), law, 20, least=1.1)
    assert not len(nothing.tree)


def test_trees_of_many_rows_share_calls():
    calls = []

    def expand(wanted):
        calls.append(len(wanted))
        return [[toy(at)(()) for _ in one.nodes] for at, one in wanted]

    found = grow_together(TREES["chain"](), [3, 1, 2], expand)
    assert [len(one.tree) for one in found] == [3, 1, 2]
    assert calls == [3, 2, 1]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=12), st.integers(0, 2))
def test_what_repeats_the_token_before_it_is_left_out_with_all_behind_it(nodes, before):
    parents = tuple(parent % (at + 1) - 1 for at, (_, parent) in enumerate(nodes))
    tree = TokenTree(tuple(token for token, _ in nodes), parents)
    whole = Grown(tree, tuple(0.9 ** len(tree.path(node)) for node in range(len(nodes))))

    def paths(one):
        return [tuple(one.tokens[step] for step in one.path(node)) for node in range(len(one))]

    def echo(path):
        return any(token == last for last, token in zip((before, *path), path, strict=False))

    found = without_echoes(whole, before)
    assert paths(found.tree) == [path for path in paths(tree) if not echo(path)]
    assert found.chances == pytest.approx([0.9] * len(found.tree))
