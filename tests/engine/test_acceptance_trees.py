"""Lossless rules on trees that branch: the law of the text, whatever siblings were proposed and however."""

import itertools
from collections import Counter
from fractions import Fraction

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ptgflow.engine.acceptance import Match, Speculative, without_replacement
from ptgflow.engine.randomness import Purpose, uniform
from ptgflow.engine.sampling import draw
from ptgflow.engine.trees import EMPTY, TokenTree
from tests.engine.test_acceptance_enumeration import (
    START,
    VOCAB,
    distributions,
    law_of_one_round,
    law_of_target,
    one_round,
    outcomes,
    rounds,
    tables,
    tensor,
)

each_rule = pytest.mark.parametrize("rule", [Speculative(), Match()], ids=lambda rule: rule.name)


def with_replacement(law, chances):
    """Siblings that know nothing of each other: the same token may come twice."""
    return tuple(draw(law, chance) for chance in chances), law.expand(len(chances), -1)


# Two siblings are often rejected one after the other, and what is left after that depends on both.
OFTEN_REJECTED = {
    "table": ((Fraction(1, 4), Fraction(1, 4), Fraction(1, 2)),) * (VOCAB + 1),
    "draft": ((Fraction(1, 2), Fraction(1, 2), Fraction(0)),) * (VOCAB + 1),
}
below_one = st.floats(0.0, 1.0 - 1e-9)
each_way = pytest.mark.parametrize("siblings", [without_replacement, with_replacement], ids=lambda way: way.__name__)


@st.composite
def shapes(draw, most=5, deepest=2):
    """The tokens and parents of trees of any shape, with siblings that may be the same token."""
    parents, depths = [], []
    for node in range(draw(st.integers(1, most))):
        above = [-1, *(at for at in range(node) if depths[at] < deepest - 1)]
        parents.append(draw(st.sampled_from(above)))
        depths.append(depths[parents[-1]] + 1 if parents[-1] >= 0 else 0)
    tokens = draw(st.lists(st.integers(0, VOCAB - 1), min_size=len(parents), max_size=len(parents)))
    return tuple(tokens), tuple(parents)


def fixed(tree, laws=None):
    return lambda written, numbers, note: (tree, laws)


def drawn_tree(draft, counts, siblings):
    """A drafter that draws `counts[0]` siblings, `counts[1]` to follow the first of them, and so on."""
    rows = tensor(draft)

    def propose(written, numbers, note):
        tokens, parents, laws, asked = [], [], [], itertools.count()
        for parent, count in enumerate(counts, start=-1):
            if parent >= 0 and (parent >= len(parents) or parents[parent] >= 0):
                break  # fewer siblings were there to draw
            before = tokens[parent] if parent >= 0 else written[-1] if written else START
            chances = []
            for _ in range(count):
                chances.append(numbers(len(written), Purpose.DRAFT, next(asked)))
                found, theirs = siblings(rows[before], chances)
                note(found)
            tokens += found
            parents += [parent] * len(found)
            laws += theirs
        return TokenTree(tuple(tokens), tuple(parents)), torch.stack(laws)

    return propose


@settings(max_examples=40, deadline=None)
@given(table=tables, shape=shapes())
@each_rule
def test_a_round_with_a_deterministic_tree_keeps_the_law(rule, table, shape):
    tree = TokenTree(*shape)
    depth = max(tree.depths) + 1
    assert law_of_one_round(rule, table, fixed(tree), depth) == law_of_target(table, depth + 1)


@settings(max_examples=8, deadline=None)
@given(table=tables, draft=tables, counts=st.sampled_from([(2,), (3,), (1, 2), (2, 1), (2, 2), (2, 1, 1)]))
@example(**OFTEN_REJECTED, counts=(3, 1))
@each_way
def test_a_round_with_drawn_siblings_keeps_the_law(siblings, table, draft, counts):
    depth = 1 if len(counts) == 1 else 2
    propose = drawn_tree(draft, counts, siblings)
    assert law_of_one_round(Speculative(), table, propose, depth) == law_of_target(table, depth + 1)


@settings(max_examples=4, deadline=None)
@given(table=tables, draft=tables, counts=st.sampled_from([(2,), (2, 1), (1, 2)]))
@example(**OFTEN_REJECTED, counts=(2,))
@each_way
def test_rounds_with_drawn_siblings_have_the_target_s_law(siblings, table, draft, counts):
    """What an earlier round has looked at says nothing about what a later one does."""
    assert outcomes(rounds(Speculative(), table, drawn_tree(draft, counts, siblings), 2)) == law_of_target(table, 2)


@settings(max_examples=8, deadline=None)
@given(table=tables, chosen=st.lists(shapes(most=4), min_size=1, max_size=3))
@each_rule
def test_rounds_with_deterministic_trees_have_the_target_s_law(rule, table, chosen):
    trees = [TokenTree(*shape) for shape in chosen]

    def propose(written, numbers, note):
        return trees[len(written) % len(trees)], None

    assert outcomes(rounds(rule, table, propose, 2)) == law_of_target(table, 2)


@settings(max_examples=30, deadline=None)
@given(table=tables, shape=shapes(), data=st.data())
def test_a_proposal_that_its_law_does_not_allow_for_is_as_if_never_made(table, shape, data):
    """Such a proposal was not drawn, and may be anything; so the text still has the law of the target."""
    tree = TokenTree(*shape)
    foreign = data.draw(st.sets(st.integers(0, len(tree) - 1), min_size=1))
    laws = torch.eye(VOCAB, dtype=torch.float64)[list(tree.tokens)]
    for node in foreign:
        laws[node] = data.draw(st.sampled_from([laws[node].roll(1), torch.zeros_like(laws[node])]))
    depth = max(tree.depths) + 1
    rows = tensor(table)

    def process(numbers, note):
        judged, written = one_round(Speculative(), rows, (tree, laws), (), numbers)
        return foreign.isdisjoint(judged.path), written

    assert {apart for apart, _ in outcomes(process)} == {True}
    assert law_of_one_round(Speculative(), table, fixed(tree, laws), depth) == law_of_target(table, depth + 1)


@settings(max_examples=100, deadline=None)
@given(p=distributions, q=distributions, order=st.permutations(range(VOCAB)), chances=st.lists(below_one, min_size=9))
def test_of_all_that_can_be_proposed_one_is_kept(p, q, order, chances):
    """What is tried and rejected has no weight left, so the last token has all of it (Sequoia, arXiv 2402.12374)."""
    left, laws = [share + Fraction(1, 8) for share in q], []
    for token in order:
        laws.append([share / sum(left) for share in left])
        left[token] = Fraction(0)
    rows, tree = tensor([p] * (VOCAB + 1)), TokenTree(tuple(order), (-1,) * VOCAB)
    numbers = iter(chances)
    assert Speculative().judge(lambda at: rows[at], tree, tensor(laws), 0, lambda *key: next(numbers)).path


@settings(max_examples=30, deadline=None)
@given(law=distributions, count=st.integers(0, VOCAB + 1))
def test_siblings_without_replacement_are_drawn_from_what_is_left(law, count):
    row = tensor([law])[0]

    def process(numbers, note):
        chances = []
        for attempt in range(count):
            chances.append(numbers(0, Purpose.DRAFT, attempt))
            note(without_replacement(row, chances)[0])
        tokens, laws = without_replacement(row, chances)
        return tokens, tuple(tuple(Fraction(share).limit_denominator(4) for share in one) for one in laws.tolist())

    expected = Counter()
    support = [token for token in range(VOCAB) if law[token]]
    for tokens in itertools.permutations(support, min(count, len(support))):
        left, weight, laws = list(law), Fraction(1), []
        for token in tokens:
            laws.append(tuple(share / sum(left) for share in left))
            weight *= laws[-1][token]
            left[token] = Fraction(0)
        expected[tokens, tuple(laws)] += weight
    assert outcomes(process) == +expected
    assert torch.equal(row, tensor([law])[0]), "the draft model's own distribution is left as it was"


@settings(max_examples=60, deadline=None)
@given(table=tables, chosen=st.lists(shapes(most=8, deepest=4), min_size=1, max_size=4), seed=st.integers(0, 2**63))
def test_match_writes_what_plain_sampling_writes_with_the_same_seed(table, chosen, seed):
    rows, trees = tensor(table), [TokenTree(*shape) for shape in chosen]

    def numbers(position, purpose, attempt=0):
        return uniform(seed, position, purpose, attempt)

    def write(trees):
        written = ()
        while len(written) < 12:
            written += one_round(Match(), rows, (trees[len(written) % len(trees)], None), written, numbers)[1]
        return written[:12]

    plain, state = [], START
    for position in range(12):
        state = draw(rows[state], uniform(seed, position, Purpose.DRAW))
        plain.append(state)
    assert write(trees) == write([EMPTY]) == tuple(plain)
