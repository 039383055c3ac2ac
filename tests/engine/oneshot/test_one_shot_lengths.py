"""Lengths from classes, and the choice among candidates of several lengths."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ptgflow.engine.oneshot.lengths import LengthClasses, likeliest, nearby, predicted
from ptgflow.engine.oneshot.rescoring import best_candidates, mean_scores
from tests.engine.oneshot.laws import normals, seeds, source

CLASSES = 8
centres = st.sampled_from([None, 0, 3, CLASSES - 1])
sources = st.lists(st.integers(1, 12), min_size=1, max_size=4)


def length_of(number, centre, read):
    return number if centre is None else read + number - centre


@given(centres, sources, st.integers(1, 30))
def test_a_length_and_its_class_are_one(centre, read, length):
    classes = LengthClasses(count=CLASSES, centre=centre)
    reads = torch.tensor(read)
    numbers = classes.of(torch.full_like(reads, length), reads)
    stands_for = classes.lengths(reads)
    for row, number in enumerate(numbers.tolist()):
        distances = [abs(length_of(each, centre, read[row]) - length) for each in range(CLASSES)]
        assert distances[number] == min(distances)
        assert stands_for[row].tolist() == [length_of(each, centre, read[row]) for each in range(CLASSES)]


def test_the_defaults_are_those_of_fairseq():
    classes = LengthClasses()
    assert (classes.count, classes.centre) == (256, 128)
    assert classes.of(torch.tensor([20, 500, 1]), torch.tensor([20, 20, 300])).tolist() == [128, 255, 0]


@given(seeds, centres, sources, st.integers(1, CLASSES + 2))
def test_the_likeliest_lengths_come_first(seed, centre, read, beam):
    classes = LengthClasses(count=CLASSES, centre=centre)
    logits, reads = normals(source(seed), len(read), CLASSES), torch.tensor(read)
    best = predicted(logits, reads, classes)
    for row, lengths in enumerate(likeliest(logits, reads, classes, beam=beam)):
        scores = {length_of(each, centre, read[row]): float(logits[row, each]) for each in range(CLASSES)}
        possible = sorted((length for length in scores if length >= 1), key=lambda length: -scores[length])
        assert lengths == tuple(possible[:beam])
        assert int(best[row]) == possible[0]


@given(seeds, centres, sources)
def test_the_law_is_that_of_the_logits_where_there_is_a_text(seed, centre, read):
    classes = LengthClasses(count=CLASSES, centre=centre)
    logits, reads = normals(source(seed), len(read), CLASSES), torch.tensor(read)
    law = classes.law(logits, reads)
    for row in range(len(read)):
        possible = [each for each in range(CLASSES) if length_of(each, centre, read[row]) >= 1]
        total = math.fsum(math.exp(float(logits[row, each])) for each in possible)
        expected = [math.exp(float(logits[row, each])) / total if each in possible else 0.0 for each in range(CLASSES)]
        assert law[row].exp().tolist() == pytest.approx(expected)


def test_no_class_that_is_a_text_is_an_error():
    classes = LengthClasses(count=CLASSES, centre=CLASSES)
    with pytest.raises(AssertionError, match="stands for a text"):
        predicted(torch.zeros(1, CLASSES), torch.tensor([1]), classes)


@given(st.integers(1, 50), st.integers(1, 9))
def test_nearby_lengths_are_neighbours_around_the_given_one(length, beam):
    found = nearby(length, beam=beam)
    assert length in found
    assert found == tuple(range(found[0], found[-1] + 1))
    assert found[-1] - length == (beam - 1) // 2
    assert found[0] == max(1, length - beam // 2)


@given(seeds, st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=3))
def test_the_candidate_with_the_best_mean_is_chosen(seed, lengths):
    lengths = [[1, *row[1:]] for row in lengths]
    scores = torch.full((len(lengths), 3, 5), math.nan, dtype=torch.float64)
    generator = source(seed)
    for row, sizes in enumerate(lengths):
        for at, size in enumerate(sizes):
            scores[row, at, :size] = -normals(generator, size).abs()
    means = [
        [math.fsum(scores[row, at, :size].tolist()) / size if size else -math.inf for at, size in enumerate(sizes)]
        for row, sizes in enumerate(lengths)
    ]
    found = mean_scores(scores, torch.tensor(lengths))
    assert [row.tolist() for row in found] == [pytest.approx(row) for row in means]
    chosen = best_candidates(scores, torch.tensor(lengths)).tolist()
    assert chosen == [max(range(3), key=row.__getitem__) for row in means]
