"""Lossless rules on chains: the law of the text, and how much is kept."""

from fractions import Fraction

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ptgflow.engine.acceptance import Block, Match, Speculative, residual_distribution
from ptgflow.engine.randomness import Purpose, uniform
from ptgflow.engine.sampling import draw
from ptgflow.engine.trees import EMPTY, TokenTree
from tests.engine.test_acceptance_enumeration import (
    START,
    VOCAB,
    law_of_one_round,
    law_of_target,
    one_round,
    outcomes,
    rounds,
    stochastic_chain,
    tables,
    tensor,
)

each_rule = pytest.mark.parametrize("rule", [Speculative(), Match(), Block()], ids=lambda rule: rule.name)


def quarters(*parts):
    return tuple(Fraction(part, 4) for part in parts)


# After the first proposal, kept with less than certainty, several tokens are left over in shares that depend on that.
PARTLY_KEPT = {
    "table": (quarters(2, 2, 0),) * VOCAB + (quarters(1, 1, 2),),
    "draft": (quarters(1, 0, 3),) * VOCAB + (quarters(2, 1, 1),),
}
some_tokens = st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=6)
seeds = st.integers(0, 2**63 - 1)


def deterministic_chain(tokens, length):
    def propose(written, numbers, note):
        return TokenTree.chain([tokens[(len(written) + place) % len(tokens)] for place in range(length)]), None

    return propose


def silent(note):
    """For what is run once with given numbers and not enumerated."""


def seeded(seed):
    return lambda position, purpose, attempt=0: uniform(seed, position, purpose, attempt)


@settings(max_examples=12, deadline=None)
@given(table=tables, draft=tables, length=st.integers(0, 3))
@example(**PARTLY_KEPT, length=2)
@example(**PARTLY_KEPT, length=3)
@each_rule
def test_a_round_with_a_stochastic_chain_keeps_the_law(rule, table, draft, length):
    assert law_of_one_round(rule, table, chain_or_nothing(draft, length), length) == law_of_target(table, length + 1)


def chain_or_nothing(draft, length):
    return stochastic_chain(draft, length) if length else lambda written, numbers, note: (EMPTY, None)


@settings(max_examples=12, deadline=None)
@given(table=tables, tokens=some_tokens, length=st.integers(1, 4))
@each_rule
def test_a_round_with_a_deterministic_chain_keeps_the_law(rule, table, tokens, length):
    propose = deterministic_chain(tokens, length)
    assert law_of_one_round(rule, table, propose, length) == law_of_target(table, length + 1)


@settings(max_examples=5, deadline=None)
@given(table=tables, draft=tables, length=st.integers(1, 2))
@example(**PARTLY_KEPT, length=2)
@each_rule
def test_rounds_with_a_stochastic_chain_have_the_target_s_law(rule, table, draft, length):
    """What an earlier round has looked at says nothing about what a later one does."""
    assert outcomes(rounds(rule, table, stochastic_chain(draft, length), 2)) == law_of_target(table, 2)


@settings(max_examples=5, deadline=None)
@given(table=tables, tokens=some_tokens, length=st.integers(1, 3))
@each_rule
def test_rounds_with_a_deterministic_chain_have_the_target_s_law(rule, table, tokens, length):
    assert outcomes(rounds(rule, table, deterministic_chain(tokens, length), 3)) == law_of_target(table, 3)


@settings(max_examples=60, deadline=None)
@given(table=tables, draft=tables, length=st.integers(0, 4), seed=seeds)
def test_speculative_on_a_chain_is_the_algorithm_of_the_paper(table, draft, length, seed):
    numbers, rows, drafts = seeded(seed), tensor(table), tensor(draft)
    proposal = chain_or_nothing(draft, length)((), numbers, silent)
    _, written = one_round(Speculative(), rows, proposal, (), numbers)
    expected, state = [], START
    for place, token in enumerate(proposal[0].tokens):
        p, q = rows[state], drafts[state]
        if numbers(place, Purpose.ACCEPT) >= min(1.0, float(p[token]) / float(q[token])):
            expected.append(draw((p - q).clamp(min=0.0), numbers(place, Purpose.RESIDUAL)))
            break
        expected.append(token)
        state = token
    else:
        expected.append(draw(rows[state], numbers(length, Purpose.DRAW)))
    assert written == tuple(expected)


def average_length(rule, table, draft, length):
    rows, propose = tensor(table), stochastic_chain(draft, length)
    law = outcomes(lambda numbers, note: len(one_round(rule, rows, propose((), numbers, note), (), numbers)[0].path))
    return sum(kept * weight for kept, weight in law.items())


@settings(max_examples=12, deadline=None)
@given(table=tables, draft=tables, length=st.integers(1, 3))
def test_a_block_is_on_average_at_least_as_long_as_what_speculative_keeps(table, draft, length):
    assert average_length(Block(), table, draft, length) >= average_length(Speculative(), table, draft, length)


def test_a_block_is_as_long_as_in_the_example_of_the_paper():
    """Sun et al., arXiv 2403.10444, section 2: 11/9 tokens of two, where token by token 10/9 are kept."""
    third = Fraction(1, 3)
    table, draft = [(third, 2 * third, Fraction(0))] * 4, [(2 * third, third, Fraction(0))] * 4
    assert average_length(Speculative(), table, draft, 2) == Fraction(10, 9)
    assert average_length(Block(), table, draft, 2) == Fraction(11, 9)


@settings(max_examples=60, deadline=None)
@given(table=tables, draft=tables, seed=seeds)
def test_a_block_of_one_proposal_is_speculative(table, draft, seed):
    numbers, rows = seeded(seed), tensor(table)
    proposal = stochastic_chain(draft, 1)((), numbers, silent)
    assert one_round(Block(), rows, proposal, (), numbers) == one_round(Speculative(), rows, proposal, (), numbers)


def test_a_block_is_a_chain():
    rows = tensor([(1, 0, 0)])
    with pytest.raises(AssertionError, match="judges chains"):
        Block().judge(lambda at: rows[0], TokenTree((0, 1), (-1, -1)), None, 0, seeded(0))


@settings(max_examples=20, deadline=None)
@given(table=tables, tokens=st.lists(st.integers(0, VOCAB - 1), min_size=2, max_size=3), data=st.data())
@pytest.mark.parametrize("rule", [Speculative(), Block()], ids=lambda rule: rule.name)
def test_a_chain_is_not_kept_from_where_its_law_does_not_allow_for_it(rule, table, tokens, data):
    """Such a proposal was not drawn, and may be anything; so the text still has the law of the target."""
    foreign = data.draw(st.integers(0, len(tokens) - 1))
    laws = torch.eye(VOCAB, dtype=torch.float64)[tokens]
    laws[foreign] = laws[foreign].roll(1)
    rows, tree = tensor(table), TokenTree.chain(tokens)

    def process(numbers, note):
        judged, written = one_round(rule, rows, (tree, laws), (), numbers)
        assert foreign not in judged.path
        return written

    assert outcomes(process)
    law = law_of_one_round(rule, table, lambda written, numbers, note: (tree, laws), len(tokens))
    assert law == law_of_target(table, len(tokens) + 1)


def test_the_residual_is_what_is_left_of_the_target():
    p, q = tensor([(0.5, 0.5, 0.0), (0.75, 0.25, 0.0)])
    assert residual_distribution(p, q).tolist() == [0.0, 1.0, 0.0]
    assert torch.equal(residual_distribution(p, p), p)
