"""CTC against the sum over all alignments."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ptgflow.engine.oneshot.ctc import best_path, collapse, log_likelihood
from ptgflow.engine.oneshot.ctc_beam import prefix_beam
from tests.engine.oneshot.laws import log_law, log_total, seeds, source, texts_up_to

VOCAB = 3
rows = st.lists(st.integers(1, 4), min_size=1, max_size=3)
blanks = st.integers(0, VOCAB - 1)
holes = st.sampled_from([0.0, 0.3])


def padded(generator, counts, without):
    """Laws of rows of different lengths; behind the end of each stands nan."""
    law = torch.full((len(counts), max(counts), VOCAB), math.nan, dtype=torch.float64)
    for row, count in enumerate(counts):
        law[row, :count] = log_law(generator, count, VOCAB, holes=without)
    return law, torch.tensor(counts)


def enumerated(law, blank):
    """Log-probability of each text, and of each alignment."""
    scores = law.tolist()
    alignments = {
        labels: math.fsum(scores[place][label] for place, label in enumerate(labels))
        for labels in itertools.product(range(VOCAB), repeat=len(law))
    }
    texts = {}
    for labels, score in alignments.items():
        merged = [label for place, label in enumerate(labels) if place == 0 or label != labels[place - 1]]
        texts.setdefault(tuple(label for label in merged if label != blank), []).append(score)
    return {text: log_total(scores) for text, scores in texts.items()}, alignments


@given(st.lists(st.integers(0, 2), max_size=8).map(tuple), blanks)
def test_collapse_undoes_what_writes_a_text_out(text, blank):
    tokens = tuple(token for token in text if token != blank)
    assert collapse(tuple(label for token in tokens for label in (token, token, blank)), blank) == tokens
    assert collapse(tuple(label for token in tokens for label in (blank, token)), blank) == tokens
    once = tuple(token for place, token in enumerate(tokens) if place == 0 or token != tokens[place - 1])
    assert collapse(tokens, blank) == once


@given(seeds, rows, blanks, holes)
def test_the_score_of_a_text_is_the_sum_over_its_alignments(seed, counts, blank, without):
    law, places = padded(source(seed), counts, without)
    written = [label for label in range(VOCAB) if label != blank]
    texts = list(texts_up_to(written, max(counts) + 1))
    found = [enumerated(law[row, :count], blank)[0] for row, count in enumerate(counts)]
    for text in texts:
        given_texts = torch.full((len(counts), len(text) + 1), -7)
        given_texts[:, : len(text)] = torch.tensor(text, dtype=torch.long)
        lengths = torch.full((len(counts),), len(text))
        scores = log_likelihood(law, places, given_texts, lengths, blank=blank)
        for row, score in enumerate(scores.tolist()):
            assert score == pytest.approx(found[row].get(text, -math.inf), abs=1e-9)


@given(seeds, rows, blanks, holes)
def test_texts_of_different_lengths_are_scored_as_each_alone(seed, counts, blank, without):
    generator = source(seed)
    law, places = padded(generator, counts, without)
    written = [label for label in range(VOCAB) if label != blank]
    lengths = torch.randint(0, 4, (len(counts),), generator=generator)
    texts = torch.tensor(written)[torch.randint(0, 2, (len(counts), 3), generator=generator)]
    together = log_likelihood(law, places, texts, lengths, blank=blank)
    for row, (count, length) in enumerate(zip(counts, lengths.tolist(), strict=True)):
        one = slice(row, row + 1)
        alone = log_likelihood(law[one, :count], places[one], texts[one, :length], lengths[one], blank=blank)
        torch.testing.assert_close(together[one], alone, rtol=0, atol=1e-12)


@given(seeds, rows, blanks)
def test_the_best_path_is_the_likeliest_alignment(seed, counts, blank):
    law, places = padded(source(seed), counts, 0.0)
    for row, found in enumerate(best_path(law, places, blank=blank)):
        _, alignments = enumerated(law[row, : counts[row]], blank)
        best = max(alignments, key=alignments.__getitem__)
        assert found.tokens == collapse(best, blank)
        assert found.score == pytest.approx(alignments[best], abs=1e-9)


@given(seeds, rows, blanks, holes)
def test_a_search_without_bounds_finds_every_text_with_its_score(seed, counts, blank, without):
    law, places = padded(source(seed), counts, without)
    for row, found in enumerate(prefix_beam(law, places, blank=blank, width=None, candidates=None)):
        texts, _ = enumerated(law[row, : counts[row]], blank)
        possible = {text: score for text, score in texts.items() if score > -math.inf}
        assert {written.tokens: written.score for written in found} == pytest.approx(possible, abs=1e-9)
        assert found[0].score == pytest.approx(max(possible.values()), abs=1e-9)
        assert [written.score for written in found] == sorted((written.score for written in found), reverse=True)


@given(seeds, rows, blanks, st.integers(1, 3), st.integers(1, VOCAB))
def test_a_bounded_search_claims_no_more_than_there_is(seed, counts, blank, width, candidates):
    law, places = padded(source(seed), counts, 0.0)
    for row, found in enumerate(prefix_beam(law, places, blank=blank, width=width, candidates=candidates)):
        texts, _ = enumerated(law[row, : counts[row]], blank)
        assert 1 <= len(found) <= width
        assert len({written.tokens for written in found}) == len(found)
        assert all(written.score <= texts[written.tokens] + 1e-9 for written in found)


def test_a_search_finds_what_the_best_path_misses():
    """Graves' example: two places, where the blank is likelier at each and the token on the whole."""
    law = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]], dtype=torch.float64).log()
    places = torch.tensor([2])
    assert best_path(law, places, blank=0)[0].tokens == ()
    [found] = prefix_beam(law, places, blank=0)
    assert found[0].tokens == (1,)
    assert math.exp(found[0].score) == pytest.approx(0.64)
