"""Nodes that a drafter holds are verified whatever is chosen, and wherever they come to stand."""

import dataclasses
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.engine.costs.widths import MARGIN, FixedWidth, MeasuredWidth, Offer, allot
from ptgflow.engine.merging import merged
from ptgflow.engine.request import Proposal
from ptgflow.engine.trees import TokenTree
from tests.engine.test_costs_widths import closed_sets, curves, offer, plain_offers, value


@st.composite
def holding(draw, most=4):
    """Parents, survival and context of an offer, and nodes of it that are closed under parents."""
    plain = draw(plain_offers(most=most))
    held: set[int] = set()
    for node in draw(st.sets(st.integers(0, max(len(plain[0]) - 1, 0)))):
        while 0 <= node < len(plain[0]):
            held.add(node)
            node = plain[0][node]
    return plain, frozenset(held)


@given(st.lists(holding(), min_size=1, max_size=3), curves)
def test_of_all_choices_that_have_what_is_held_none_promises_more(plain, found):
    offers = [dataclasses.replace(offer(one), held=held) for one, held in plain]
    pending = len(offers)
    chosen = allot(offers, found, pending=pending)
    least = [tuple(sorted(one.held)) for one in offers]
    assert all(one.held <= set(nodes) for one, nodes in zip(offers, chosen, strict=True))
    allowed = [[nodes for nodes in closed_sets(one.tree) if one.held <= set(nodes)] for one in offers]
    best = max(value(offers, found, sets, pending) for sets in product(*allowed))
    alone = value(offers, found, least, pending)
    if chosen == least:
        assert best <= alone * (1 + MARGIN) * (1 + 1e-9)
    else:
        assert value(offers, found, chosen, pending) == pytest.approx(best, rel=1e-9)


@given(st.lists(holding(most=6), min_size=1, max_size=4), curves, st.integers(1, 4))
def test_every_policy_keeps_what_is_held_and_a_tree(plain, found, width):
    offers = [dataclasses.replace(offer(one), held=held) for one, held in plain]
    for policy in (MeasuredWidth(found), FixedWidth(width)):
        for one, nodes in zip(offers, policy.choose(offers), strict=True):
            assert one.held <= set(nodes)
            assert list(nodes) == sorted(set(nodes))
            assert all(one.tree.parents[node] in (-1, *nodes) for node in nodes)


def test_a_width_of_none_but_the_held():
    tree = TokenTree((1, 2, 3), (-1, 0, -1))
    one = Offer(tree=tree, survival=(0.1, 0.1, 0.9), context=0, held=frozenset({0, 1}))
    assert FixedWidth(1).choose([one]) == [(0, 1, 2)]


@st.composite
def proposals(draw):
    plain, held = draw(holding(most=6))
    tokens = [draw(st.integers(0, 2)) for _ in plain[0]]
    return tokens, plain[0], held


@settings(max_examples=150)
@given(st.lists(proposals(), min_size=1, max_size=3), st.integers(1, 12))
def test_joined_trees_hold_what_any_of_them_holds_first(plain, limit):
    parts = [Proposal(tree=TokenTree(tuple(tokens), tuple(parents)), held=held) for tokens, parents, held in plain]
    whole = merged(parts, limit=limit)

    def paths(one, nodes):
        return {tuple(one.tree.tokens[step] for step in one.tree.path(node)) for node in nodes}

    held = {path for one in parts for path in paths(one, one.held)}
    everything = {path for one in parts for path in paths(one, range(len(one.tree)))}
    found = paths(whole, range(len(whole.tree)))
    assert found <= everything
    assert len(found) == len(whole.tree) == min(limit, len(everything))
    assert paths(whole, whole.held) == held & found
    assert len(held) > limit or held <= found


def test_a_node_is_held_with_its_parent():
    with pytest.raises(AssertionError, match="parent is held"):
        Proposal(tree=TokenTree.chain((1, 2)), held=frozenset({1}))


@given(st.lists(st.tuples(st.integers(-1, 5), st.integers(0, 2)), max_size=7), st.lists(st.integers(0, 2), max_size=4))
def test_a_tree_is_found_within_another(nodes, line):
    parents = [min(parent, node - 1) for node, (parent, _) in enumerate(nodes)]
    whole, part = TokenTree(tuple(token for _, token in nodes), tuple(parents)), TokenTree.chain(line)
    unique = len({(parent, token) for parent, (_, token) in zip(parents, nodes, strict=True)}) == len(nodes)
    places = part.within(whole)
    assert places.pop(-1) == -1
    for node, place in places.items():
        assert [whole.tokens[step] for step in whole.path(place)] == line[: node + 1]
    if unique:
        there = {tuple(whole.tokens[step] for step in whole.path(node)) for node in range(len(whole))}
        assert len(places) == sum(tuple(line[:length]) in there for length in range(1, len(line) + 1))
