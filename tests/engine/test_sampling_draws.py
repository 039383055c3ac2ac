"""Draws: a token on its share of the unit interval, and many lines at once as one line by itself."""

from fractions import Fraction

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts.settings import Sampling
from ptgflow.engine.randomness import Purpose, uniform
from ptgflow.engine.sampling import History, Place, draw, predict
from ptgflow.engine.sampling.draws import draw_each
from ptgflow.engine.sampling.laws import Narrow
from ptgflow.engine.trees import EMPTY

LAST = 1.0 - 2**-53
"""The largest number that is drawn with."""


@settings(max_examples=100, deadline=None)
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
    assert draw(probabilities, LAST) == 4
    assert draw(probabilities / 3e300, LAST) == 4
    assert draw_each(torch.stack([probabilities] * 3), [0.0, LAST, 0.2]) == [1, 4, 2]


@settings(max_examples=40, deadline=None)
@given(
    vocab=st.integers(1, 700),
    rows=st.integers(1, 4),
    seed=st.integers(0, 10**6),
    zeros=st.sampled_from([0.0, 0.5, 0.99]),
)
def test_many_lines_draw_as_one_does_also_at_the_very_edges(vocab, rows, seed, zeros):
    made = torch.Generator().manual_seed(seed)
    weights = torch.rand(rows, vocab, generator=made, dtype=torch.float64)
    weights[torch.rand(rows, vocab, generator=made) < zeros] = 0.0
    weights[:, seed % vocab] = 0.3
    edges = weights.cumsum(dim=-1) / weights.sum(dim=-1, keepdim=True)
    for step in range(0, vocab, max(1, vocab // 40)):
        chances = [min(edge, LAST) for edge in edges[:, step].tolist()]
        one_by_one = [draw(line, chance) for line, chance in zip(weights, chances, strict=True)]
        assert draw_each(weights, chances) == one_by_one
    assert draw_each(weights, [0.0] * rows) == [draw(line, 0.0) for line in weights]
    assert draw_each(weights, [LAST] * rows) == [draw(line, LAST) for line in weights]


@settings(max_examples=60, deadline=None)
@given(few=st.integers(1, 30), rows=st.integers(1, 4), seed=st.integers(0, 10**6))
def test_few_tokens_are_drawn_in_the_order_of_the_vocabulary(few, rows, seed):
    made = torch.Generator().manual_seed(seed)
    weights = torch.rand(rows, few, generator=made, dtype=torch.float64).sort(dim=-1, descending=True).values
    for row in range(rows):
        weights[row, 1 + seed % (row + few) :] = 0.0
    laws = Narrow(torch.stack([torch.randperm(50, generator=made)[:few] for _ in range(rows)]), weights, 50)
    for chance in (0.0, 0.1, 0.37, 0.5, 0.92, LAST):
        assert laws.draws([chance] * rows) == [draw(laws.law(row), chance) for row in range(rows)]


def test_draws_follow_the_law_and_siblings_of_a_position_share_their_number():
    logits = 2 * torch.randn(1, 4000, generator=torch.Generator().manual_seed(1))
    for sampling in (Sampling(temperature=1.0), Sampling(temperature=0.8, top_p=0.9)):
        history = History(sampling, [], 4000, torch.device("cpu"))
        places = [
            Place(sampling=sampling, seed=seed, history=history, tree=EMPTY, start=5, draws=True) for seed in range(400)
        ]
        found = predict(logits.expand(400, -1), places)
        law = found.law(0)
        assert found.tokens == [draw(law, uniform(seed, 5, Purpose.DRAW)) for seed in range(400)]
        assert len(set(found.tokens)) > 50
