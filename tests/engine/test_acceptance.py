"""Acceptance rules keep the target's law: exact enumeration over the uniform numbers that a rule may ask for."""

import itertools
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.engine.acceptance import RULES, Judged, greedy_match, match, residual_distribution, speculative
from ptgflow.engine.randomness import Purpose, uniform

VOCAB = 3
BOTH = [RULES["speculative"].judge, RULES["match"].judge]


class Unasked(Exception):
    """A rule asked for a number that the enumeration has not fixed yet."""

    def __init__(self, key):
        self.key = key


EDGES = sorted({Fraction(a, b) for b in range(1, 5) for a in range(b + 1)})
"""With probabilities in quarters every p / q below one, every sum of p and every sum of a residual is one of these."""
EDGES_OF_A_DETERMINISTIC_DRAFT = {
    Purpose.DRAW: [Fraction(a, 4) for a in range(5)],
    Purpose.ACCEPT: [Fraction(a, 4) for a in range(5)],
    Purpose.RESIDUAL: EDGES,
}
"""With q one-hot a rule compares with p and its sums alone, save after a rejection: fewer cases to go through."""


def outcomes(process, edges_of=None):
    """Every result of `process(uniforms)` with its exact probability.

    `process` is a function of the numbers it asks for, constant between neighbouring edges; so one number from the
    middle of each interval stands for the whole interval, and the interval's length is its probability.
    """
    law = {}
    open_cases = [({}, Fraction(1))]
    while open_cases:
        fixed, weight = open_cases.pop()

        def numbers(position, purpose, fixed=fixed):
            if (position, purpose) not in fixed:
                raise Unasked((position, purpose))
            return float(fixed[position, purpose])

        try:
            result = process(numbers)
        except Unasked as question:
            edges = EDGES if edges_of is None else edges_of[question.key[1]]
            for low, high in itertools.pairwise(edges):
                open_cases.append(({**fixed, question.key: (low + high) / 2}, weight * (high - low)))
        else:
            law[result] = law.get(result, Fraction(0)) + weight
    return law


def tensor(rows):
    return torch.tensor([[float(a) for a in row] for row in rows], dtype=torch.float64)


def one_hot(token):
    return tuple(Fraction(int(index == token)) for index in range(VOCAB))


QUARTERS = [
    tuple(Fraction(part, 4) for part in parts) for parts in itertools.product(range(5), repeat=VOCAB) if sum(parts) == 4
]
distributions = st.sampled_from(QUARTERS)


@settings(max_examples=60, deadline=None)
@given(p=distributions, after=distributions, q=distributions)
@pytest.mark.parametrize("judge", BOTH)
def test_one_proposal_of_a_stochastic_draft_keeps_the_law(judge, p, after, q):
    law = {}
    for proposal, chance in enumerate(q):
        if chance:

            def process(uniforms, proposal=proposal):
                judged = judge(tensor([p, after]), [proposal], tensor([q]), 0, uniforms)
                return (*[proposal][: judged.accepted], judged.token)

            for tokens, weight in outcomes(process).items():
                law[tokens] = law.get(tokens, Fraction(0)) + chance * weight
    first = [sum((w for t, w in law.items() if t[0] == token), Fraction(0)) for token in range(VOCAB)]
    assert first == list(p)
    for proposal in range(VOCAB):
        # What follows an accepted proposal is the bonus token, with the target's law there.
        followed = [law.get((proposal, token), Fraction(0)) for token in range(VOCAB)]
        if sum(followed):
            assert [w / sum(followed) for w in followed] == list(after)


@settings(max_examples=8, deadline=None)
@given(
    table=st.lists(distributions, min_size=VOCAB + 1, max_size=VOCAB + 1),
    draft=st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=6),
    width=st.integers(0, 3),
)
@pytest.mark.parametrize("judge", BOTH)
def test_a_chain_of_rounds_with_a_deterministic_drafter_has_the_target_s_law(judge, table, draft, width):
    """A Markov chain as the target, drafts of 0 to 3 tokens, rounds until two tokens are written."""
    length = 2
    start = VOCAB  # The state before anything was written has a row of its own.

    def process(uniforms):
        written = []
        while len(written) < length:
            proposals = [draft[(len(written) + place) % len(draft)] for place in range(width)]
            states = [written[-1] if written else start, *proposals]
            judged = judge(tensor([table[state] for state in states]), proposals, None, len(written), uniforms)
            written += [*proposals[: judged.accepted], judged.token]
        return tuple(written[:length])

    law = outcomes(process, EDGES_OF_A_DETERMINISTIC_DRAFT)
    for tokens in itertools.product(range(VOCAB), repeat=length):
        expected = Fraction(1)
        for before, token in itertools.pairwise((start, *tokens)):
            expected *= table[before][token]
        assert law.get(tokens, Fraction(0)) == expected


@pytest.mark.parametrize("judge", BOTH)
def test_each_number_is_asked_for_at_most_once_and_by_position(judge):
    asked = []

    def numbers(position, purpose):
        asked.append((position, purpose))
        return 0.999

    judge(torch.full((4, 3), 1 / 3, dtype=torch.float64), [2, 2, 0], None, 10, numbers)
    assert len(asked) == len(set(asked))
    assert {position for position, _ in asked} <= set(range(10, 14))


@settings(max_examples=100, deadline=None)
@given(
    table=st.lists(distributions, min_size=VOCAB + 1, max_size=VOCAB + 1),
    draft=st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=9),
    width=st.integers(1, 4),
    seed=st.integers(0, 2**63 - 1),
)
def test_match_writes_what_plain_sampling_writes_with_the_same_seed(table, draft, width, seed):
    def numbers(position, purpose):
        return uniform(seed, position, purpose)

    def write(width):
        written = []
        while len(written) < 12:
            proposals = [draft[(len(written) + place) % len(draft)] for place in range(width)]
            states = [written[-1] if written else VOCAB, *proposals]
            judged = match(tensor([table[state] for state in states]), proposals, None, len(written), numbers)
            written += [*proposals[: judged.accepted], judged.token]
        return written[:12]

    assert write(width) == write(0)


@settings(max_examples=100, deadline=None)
@given(targets=st.lists(st.integers(0, 2), min_size=1, max_size=5), data=st.data())
def test_at_temperature_zero_every_rule_is_greedy_match(targets, data):
    draft = data.draw(st.lists(st.integers(0, 2), min_size=len(targets) - 1, max_size=len(targets) - 1))
    agreed = 0
    for left, right in zip(draft, targets, strict=False):
        if left != right:
            break
        agreed += 1
    expected = Judged(accepted=agreed, token=targets[agreed])
    assert greedy_match(targets, draft) == expected
    chances = data.draw(st.floats(0, 1, exclude_max=True))
    certain = tensor([one_hot(token) for token in targets])
    for judge in BOTH:
        assert judge(certain, draft, None, 0, lambda position, purpose: chances) == expected


def test_the_residual_is_what_is_left_of_the_target():
    p, q = tensor([[Fraction(1, 2), Fraction(1, 2), 0]])[0], tensor([[Fraction(3, 4), Fraction(1, 4), 0]])[0]
    assert residual_distribution(p, q).tolist() == [0.0, 1.0, 0.0]
    assert torch.equal(residual_distribution(p, p), p)


def test_a_draft_must_come_with_one_distribution_more():
    with pytest.raises(AssertionError, match="bonus"):
        speculative(torch.ones(1, 3, dtype=torch.float64) / 3, [0], None, 0, lambda position, purpose: 0.5)


def test_each_rule_declares_its_guarantee():
    for name, rule in RULES.items():
        assert rule.name == name
        assert rule.guarantee(0.0) == "exact"
        assert rule.guarantee(0.7) == "distribution"
    assert RULES["match"].same_text_as_sampling
    assert not RULES["speculative"].same_text_as_sampling
    assert len({Purpose.DRAW, Purpose.ACCEPT, Purpose.RESIDUAL}) == 3
