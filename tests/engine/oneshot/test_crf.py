"""A chain over a whole vocabulary against the sum over all texts."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ptgflow.engine.oneshot.crf import Transitions, lattice, log_partition, path_score, viterbi
from tests.engine.oneshot.laws import log_total, normals, seeds, source

VOCAB, RANK = 4, 2
rows = st.lists(st.integers(1, 4), min_size=1, max_size=3)


def chain(seed, counts, *, dynamic):
    """Scores of rows of different lengths; behind the end of each stands nan."""
    generator, longest = source(seed), max(counts)
    emissions = torch.full((len(counts), longest, VOCAB), math.nan, dtype=torch.float64)
    between = torch.full((len(counts), longest - 1, RANK, RANK), math.nan, dtype=torch.float64)
    for row, count in enumerate(counts):
        emissions[row, :count] = normals(generator, count, VOCAB)
        between[row, : count - 1] = normals(generator, count - 1, RANK, RANK)
    transitions = Transitions(
        first=normals(generator, VOCAB, RANK),
        second=normals(generator, VOCAB, RANK),
        dynamic=between if dynamic else None,
    )
    return emissions, torch.tensor(counts), transitions


def scored(emissions, transitions, row, places):
    """By the definition, number by number, the score of each text over a set of tokens at each place."""
    own, first, second = emissions[row].tolist(), transitions.first.tolist(), transitions.second.tolist()
    same = [torch.eye(RANK).tolist()] * (len(places) - 1)
    middle = same if transitions.dynamic is None else transitions.dynamic[row].tolist()
    scores = {}
    for text in itertools.product(*places):
        scores[text] = math.fsum(own[place][token] for place, token in enumerate(text))
        for step, (before, after) in enumerate(itertools.pairwise(text)):
            scores[text] += sum(
                first[before][a] * middle[step][a][b] * second[after][b] for a in range(RANK) for b in range(RANK)
            )
    return scores


@given(seeds, rows, st.booleans())
def test_over_the_whole_vocabulary_nothing_is_approximate(seed, counts, dynamic):
    emissions, places, transitions = chain(seed, counts, dynamic=dynamic)
    found = lattice(emissions, places, transitions, beam=VOCAB)
    partition, best = log_partition(found), viterbi(found)
    for row, count in enumerate(counts):
        scores = scored(emissions, transitions, row, [range(VOCAB)] * count)
        assert float(partition[row]) == pytest.approx(log_total(scores.values()), abs=1e-9)
        assert best[row].score == pytest.approx(max(scores.values()), abs=1e-9)
        assert scores[best[row].tokens] == pytest.approx(best[row].score, abs=1e-9)


@given(seeds, rows, st.booleans(), st.integers(1, VOCAB - 1))
def test_a_beam_is_the_best_tokens_of_each_place(seed, counts, dynamic, beam):
    emissions, places, transitions = chain(seed, counts, dynamic=dynamic)
    found = lattice(emissions, places, transitions, beam=beam)
    partition, best = log_partition(found), viterbi(found)
    for row, count in enumerate(counts):
        kept = [
            sorted(range(VOCAB), key=lambda token, at=at: -float(emissions[row, at, token]))[:beam]
            for at in range(count)
        ]
        scores = scored(emissions, transitions, row, kept)
        assert float(partition[row]) == pytest.approx(log_total(scores.values()), abs=1e-9)
        assert best[row].score == pytest.approx(max(scores.values()), abs=1e-9)
        assert scores[best[row].tokens] == pytest.approx(best[row].score, abs=1e-9)


@given(seeds, rows, st.booleans(), st.integers(1, VOCAB))
def test_what_is_forced_is_first_in_the_beam(seed, counts, dynamic, beam):
    emissions, places, transitions = chain(seed, counts, dynamic=dynamic)
    forced = torch.randint(0, VOCAB, emissions.shape[:2], generator=source(seed + 1))
    found = lattice(emissions, places, transitions, beam=beam, forced=forced)
    own = path_score(found, torch.zeros_like(forced))
    for row, count in enumerate(counts):
        assert found.tokens[row, :count, 0].tolist() == forced[row, :count].tolist()
        assert all(len(set(tokens)) == beam for tokens in found.tokens[row, :count].tolist())
        [expected] = scored(emissions, transitions, row, forced[row, :count, None].tolist()).values()
        assert float(own[row]) == pytest.approx(expected, abs=1e-9)


@given(seeds, rows, st.booleans())
def test_a_row_is_read_as_if_it_were_alone(seed, counts, dynamic):
    emissions, places, transitions = chain(seed, counts, dynamic=dynamic)
    together = viterbi(lattice(emissions, places, transitions, beam=3))
    for row, count in enumerate(counts):
        one = slice(row, row + 1)
        own = None if transitions.dynamic is None else transitions.dynamic[one, : count - 1]
        only = Transitions(first=transitions.first, second=transitions.second, dynamic=own)
        [alone] = viterbi(lattice(emissions[one, :count], places[one], only, beam=3))
        assert together[row].tokens == alone.tokens
        assert together[row].score == pytest.approx(alone.score, abs=1e-12)
