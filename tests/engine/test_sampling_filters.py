"""Filters over a large vocabulary, which sort no more of it than they must, against their definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts.settings import Sampling
from ptgflow.engine.sampling import filtering
from ptgflow.engine.sampling.blocks import largest, likeliest
from ptgflow.engine.sampling.definition import defined_law
from ptgflow.engine.sampling.laws import Narrow, Wide

VOCAB = 5003
"""Prime, so that no block size divides it."""


def lines(spread, *, seed=0, count=1, steps=None):
    made = spread * torch.randn(count, VOCAB, generator=torch.Generator().manual_seed(seed))
    return made if steps is None else (made * steps).round() / steps


def laws(logits, samplings):
    found = {}
    for rows, group in filtering.laws_of(logits, samplings):
        found.update((row, (group, group.law(at))) for at, row in enumerate(rows))
    assert sorted(found) == list(range(len(samplings))), "each line has one law"
    return [found[row] for row in range(len(samplings))]


WAYS = [
    # A sampling, how far the logits spread, and how many of the largest logits decide: None for the definition.
    (Sampling(temperature=1.0, top_p=0.9), 6.0, 64),
    (Sampling(temperature=1.0, top_p=0.9), 2.0, 2048),
    (Sampling(temperature=1.0, top_p=0.9), 0.1, None),
    (Sampling(temperature=0.7, top_k=50), 1.0, 64),
    (Sampling(temperature=0.7, top_k=64), 1.0, 256),
    (Sampling(temperature=0.7, top_k=256), 1.0, 2048),
    (Sampling(temperature=0.7, top_k=2047), 1.0, 2048),
    (Sampling(temperature=0.7, top_k=2048), 1.0, None),
    (Sampling(temperature=0.7, top_k=50, top_p=0.6, min_p=0.1), 1.0, 64),
    (Sampling(temperature=1.0, min_p=0.2), 3.0, 64),
    (Sampling(temperature=1.0, min_p=0.05), 1.0, 2048),
    (Sampling(temperature=1.0, min_p=0.0001), 0.1, None),
    (Sampling(temperature=0.5, min_p=1.0), 1.0, 64),
    (Sampling(temperature=2.0, top_p=0.3, min_p=0.5), 5.0, 64),
    (Sampling(temperature=1.0, top_p=1.0 - 1e-12), 5.0, None),
    (Sampling(temperature=1.0, top_k=VOCAB), 1.0, None),
    (Sampling(temperature=1.0), 1.0, None),
]


def agree(law, defined):
    assert torch.equal(law > 0, defined > 0)
    torch.testing.assert_close(law, defined, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize(("sampling", "spread", "decides"), WAYS)
def test_a_line_is_decided_by_as_few_logits_as_it_takes(sampling, spread, decides):
    logits = lines(spread)
    [(group, law)] = laws(logits, [sampling])
    assert (group.ids.shape[-1] if isinstance(group, Narrow) else None) == decides
    agree(law, defined_law(logits[0], sampling))


def test_lines_that_go_different_ways_in_one_pass():
    samplings = [sampling for sampling, _, _ in WAYS]
    logits = torch.cat([lines(spread, seed=at) for at, (_, spread, _) in enumerate(WAYS)])
    for (_, law), sampling, line in zip(laws(logits, samplings), samplings, logits, strict=True):
        agree(law, defined_law(line, sampling))


@pytest.mark.parametrize("steps", [1, 2, 8])
@pytest.mark.parametrize("sampling", [sampling for sampling, _, _ in WAYS if sampling.top_p < 1 or sampling.top_k])
def test_equal_logits_are_kept_or_dropped_as_the_definition_says(sampling, steps):
    logits = lines(3.0, count=6, steps=steps)
    for (_, law), line in zip(laws(logits, [sampling] * 6), logits, strict=True):
        agree(law, defined_law(line, sampling))


def test_an_edge_that_rounding_might_move_is_left_to_the_definition():
    """Ten equal tokens of share 0.1: whether nine are enough for 0.9 is decided by the last bit of a sum."""
    logits = torch.full((1, VOCAB), -1e4)
    logits[0, 100:110] = 0.0
    for top_p in (0.1, 0.3, 0.6, 0.7, 0.8, 0.9):
        sampling = Sampling(temperature=1.0, top_p=top_p)
        [(group, law)] = laws(logits, [sampling])
        assert isinstance(group, Wide)
        assert torch.equal(law, defined_law(logits[0], sampling))


def test_the_smallest_nucleus_is_what_greedy_decoding_takes():
    logits = lines(1.0, count=8, steps=1)
    assert (logits == logits.amax(dim=-1, keepdim=True)).sum(dim=-1).amax() > 1, "some have several likeliest tokens"
    for top_p in (1e-6, 1e-17):
        for line, (_, law) in zip(logits, laws(logits, [Sampling(temperature=1.0, top_p=top_p)] * 8), strict=True):
            assert law.nonzero()[:, 0].tolist() == [int(line.argmax())]


def test_impossible_tokens_stay_impossible():
    logits = torch.full((1, VOCAB), -torch.inf)
    logits[0, 7:10] = torch.tensor([1.0, 2.0, 3.0])
    for sampling, _, _ in WAYS:
        [(_, law)] = laws(logits, [sampling])
        agree(law, defined_law(logits[0], sampling))


def test_nothing_is_sampled_at_temperature_zero():
    with pytest.raises(AssertionError, match="temperature 0"):
        defined_law(lines(1.0)[0], Sampling())


@settings(max_examples=60, deadline=None)
@given(
    vocab=st.integers(1, 900),
    count=st.integers(1, 12),
    rows=st.integers(1, 4),
    steps=st.sampled_from([None, 1]),
    seed=st.integers(0, 10**6),
)
def test_the_largest_of_blocks_are_the_largest_of_all(vocab, count, rows, steps, seed):
    values = torch.randn(rows, vocab, generator=torch.Generator().manual_seed(seed))
    values = values if steps is None else values.round()
    found, ids = largest(values, count)
    wanted = values.topk(min(count, vocab), dim=-1).values
    assert torch.equal(found, wanted)
    assert torch.equal(values.gather(-1, ids), wanted)
    assert all(len(set(row)) == len(row) for row in ids.tolist())
    assert likeliest(values).tolist() == values.argmax(dim=-1).tolist()
