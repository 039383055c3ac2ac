"""Filters and draws, with transformers' own processors as the oracle."""

from fractions import Fraction

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
from ptgflow.engine.sampling import chosen, draw, greedy, log_probabilities, seen_tokens

VOCAB = 23
CPU = torch.device("cpu")

samplings = st.builds(
    Sampling,
    temperature=st.floats(0.05, 5.0),
    top_p=st.floats(0.05, 1.0),
    top_k=st.one_of(st.none(), st.integers(1, 40)),
    min_p=st.floats(0.0, 1.0),
    repetition_penalty=st.sampled_from([1.0, 1.3, 0.7, 5.0]),
)
tokens = st.integers(0, VOCAB - 1)


def reference(logits, sampling, before):
    """One position through transformers' processors, in the order in which `generate` puts them."""
    steps = LogitsProcessorList()
    if sampling.repetition_penalty != 1.0:
        steps.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    steps.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k is not None:
        steps.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1.0:
        steps.append(TopPLogitsWarper(sampling.top_p))
    steps.append(MinPLogitsWarper(sampling.min_p))
    return steps(torch.tensor([before]), logits[None].double())[0].log_softmax(-1)


@settings(max_examples=300, deadline=None)
@given(
    sampling=samplings,
    seed=st.integers(0, 10**6),
    context=st.lists(tokens, min_size=1, max_size=30),
    draft=st.lists(tokens, max_size=3),
)
def test_filters_equal_those_of_transformers_at_every_position_of_a_draft(sampling, seed, context, draft):
    logits = 4 * torch.randn(len(draft) + 1, VOCAB, generator=torch.Generator().manual_seed(seed))
    seen = seen_tokens(context, draft, VOCAB, CPU)
    ours = log_probabilities(logits, sampling, seen if sampling.repetition_penalty != 1.0 else None)
    for place in range(len(draft) + 1):
        theirs = reference(logits[place], sampling, context + draft[:place])
        assert torch.equal(ours[place].isinf(), theirs.isinf())
        torch.testing.assert_close(ours[place], theirs, rtol=1e-9, atol=1e-9)


def test_greedy_takes_the_penalty_into_account_and_the_first_of_equals():
    logits = torch.tensor([[3.0, 2.9, 0.0], [-1.0, -1.05, -9.0], [1.0, 1.0, 0.0]])
    assert greedy(logits, 1.0, None).tolist() == [0, 0, 0]
    seen = torch.tensor([[True, False, False]] * 3)
    assert greedy(logits, 1.1, seen).tolist() == [1, 1, 1]


def test_temperature_zero_has_no_distribution():
    with pytest.raises(AssertionError, match="greedy"):
        log_probabilities(torch.zeros(1, 3), Sampling(), None)


@settings(max_examples=200, deadline=None)
@given(weights=st.lists(st.integers(0, 4), min_size=1, max_size=8).filter(any))
def test_a_token_is_drawn_on_exactly_its_share_of_the_unit_interval(weights):
    total = sum(weights)
    probabilities = torch.tensor(weights, dtype=torch.float64)
    share = [Fraction(0)] * len(weights)
    for cell in range(8 * total):  # Finer than the distribution, at the middle of each cell.
        share[draw(probabilities, (cell + 0.5) / (8 * total))] += Fraction(1, 8 * total)
    assert share == [Fraction(weight, total) for weight in weights]


def test_no_number_draws_a_token_without_weight():
    probabilities = torch.tensor([0.0, 0.1, 0.2, 0.0, 0.7, 0.0], dtype=torch.float64)
    assert draw(probabilities, 0.0) == 1
    assert draw(probabilities, 1.0 - 2**-53) == 4
    assert draw(probabilities / 3e300, 1.0 - 2**-53) == 4


def test_scores_are_those_of_the_chosen_tokens_and_never_positive():
    scores = torch.tensor([[0.5, -1.0], [-2.0, -3.0], [-4.0, -5.0]], dtype=torch.float64)
    assert chosen(scores, [0, 1]) == (0.0, -3.0)
