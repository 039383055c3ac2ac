"""Losses of one-shot models: their values by enumeration, their gradients by finite differences."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.engine.oneshot.crf import Transitions
from ptgflow.engine.oneshot.ctc import collapse
from ptgflow.engine.oneshot.dag import Dag
from ptgflow.engine.oneshot.lengths import LengthClasses
from ptgflow.train.objectives.oneshot_losses import crf_loss, ctc_loss, dag_loss, length_loss
from ptgflow.train.objectives.oneshot_losses.reduction import per_token
from tests.engine.oneshot.graphs import all_paths, random_dag, text_score
from tests.engine.oneshot.laws import log_total, normals, seeds, source

VOCAB = 3
pairs = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=3)
"""Places and tokens of each row; some texts do not fit."""


def ragged(generator, sizes):
    texts = torch.randint(1, VOCAB, (len(sizes), max(length for _, length in sizes)), generator=generator)
    counts, lengths = (torch.tensor(each) for each in zip(*sizes, strict=True))
    return texts, counts, lengths


def mean_of(likelihoods, lengths):
    """Nats per token; rows that are impossible add nothing, but are counted."""
    values = [
        -likelihood / length if likelihood > -math.inf else 0.0
        for likelihood, length in zip(likelihoods, lengths, strict=True)
    ]
    return math.fsum(values) / len(values)


@given(seeds, pairs)
def test_ctc_is_the_sum_over_alignments(seed, sizes):
    generator = source(seed)
    texts, counts, lengths = ragged(generator, sizes)
    logits = normals(generator, len(sizes), int(counts.max()), VOCAB)
    law = logits.log_softmax(-1).tolist()
    likelihoods = []
    for row, (count, length) in enumerate(sizes):
        text = tuple(texts[row, :length].tolist())
        likelihoods.append(
            log_total(
                math.fsum(law[row][place][label] for place, label in enumerate(labels))
                for labels in itertools.product(range(VOCAB), repeat=count)
                if collapse(labels, 0) == text
            )
        )
    loss = ctc_loss(logits, counts, texts, lengths, blank=0)
    assert float(loss) == pytest.approx(mean_of(likelihoods, lengths.tolist()), abs=1e-9)


@given(seeds, pairs)
def test_dag_is_the_sum_over_paths(seed, sizes):
    generator = source(seed)
    texts, counts, lengths = ragged(generator, sizes)
    dag = random_dag(generator, counts.tolist(), vocab=VOCAB)
    likelihoods = [
        log_total(
            text_score(dag, row, path, texts[row, :length].tolist()) for path in all_paths(count) if len(path) == length
        )
        for row, (count, length) in enumerate(sizes)
    ]
    assert float(dag_loss(dag, texts, lengths)) == pytest.approx(mean_of(likelihoods, lengths.tolist()), abs=1e-9)


@given(seeds, st.lists(st.integers(1, 3), min_size=1, max_size=2), st.booleans())
def test_crf_is_the_share_of_the_text_among_all(seed, counts, dynamic):
    generator, longest, rank = source(seed), max(counts), 2
    emissions = normals(generator, len(counts), longest, VOCAB)
    transitions = Transitions(
        first=normals(generator, VOCAB, rank),
        second=normals(generator, VOCAB, rank),
        dynamic=normals(generator, len(counts), longest - 1, rank, rank) if dynamic else None,
    )
    texts = torch.randint(0, VOCAB, (len(counts), longest), generator=generator)

    def score(row, text):
        total = sum(emissions[row, place, token] for place, token in enumerate(text))
        for step, (before, after) in enumerate(itertools.pairwise(text)):
            middle = torch.eye(rank, dtype=torch.float64) if not dynamic else transitions.dynamic[row, step]
            total = total + transitions.first[before] @ middle @ transitions.second[after]
        return float(total)

    likelihoods = []
    for row, count in enumerate(counts):
        everything = [score(row, text) for text in itertools.product(range(VOCAB), repeat=count)]
        likelihoods.append(score(row, texts[row, :count].tolist()) - log_total(everything))
    loss = crf_loss(emissions, transitions, texts, torch.tensor(counts), beam=VOCAB)
    assert float(loss) == pytest.approx(mean_of(likelihoods, counts), abs=1e-9)
    assert 0.0 <= crf_loss(emissions, transitions, texts, torch.tensor(counts), beam=2) <= loss + 1e-9


@given(seeds, st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(1, 12))
def test_length_is_the_cross_entropy_of_its_class(seed, read, length):
    classes = LengthClasses(count=8, centre=3)
    logits, reads = normals(source(seed), len(read), 8), torch.tensor(read)
    wanted = [min(max(length - each + 3, 0), 7) for each in read]
    expected = -sum(float(logits[row].log_softmax(-1)[each]) for row, each in enumerate(wanted)) / len(read)
    assert float(length_loss(logits, torch.full_like(reads, length), reads, classes)) == pytest.approx(expected)


# Rows: one that fills its places, one with room, one whose text does not fit.
COUNTS, LENGTHS = torch.tensor([2, 5, 2]), torch.tensor([2, 3, 3])
few = settings(max_examples=4)


@few
@given(seeds)
def test_the_gradient_of_ctc_is_right(seed):
    generator = source(seed)
    texts = torch.randint(1, VOCAB, (3, 3), generator=generator)
    logits = normals(generator, 3, 5, VOCAB).requires_grad_()
    assert torch.autograd.gradcheck(lambda each: ctc_loss(each, COUNTS, texts, LENGTHS, blank=0), logits)


@few
@given(seeds)
def test_the_gradient_of_dag_is_right(seed):
    generator = source(seed)
    texts = torch.randint(0, VOCAB, (3, 3), generator=generator)
    tokens = normals(generator, 3, 5, VOCAB).requires_grad_()
    links = normals(generator, 3, 5, 5).requires_grad_()

    def loss(tokens, links):
        dag = Dag(tokens=tokens.log_softmax(-1), links=links, counts=COUNTS)
        return dag_loss(dag, texts, LENGTHS)

    assert torch.autograd.gradcheck(loss, (tokens, links))


@few
@given(seeds, st.integers(1, VOCAB))
def test_the_gradient_of_crf_is_right(seed, beam):
    generator, rank = source(seed), 2
    texts = torch.randint(0, VOCAB, (3, 5), generator=generator)
    shapes = [(3, 5, VOCAB), (VOCAB, rank), (VOCAB, rank), (3, 4, rank, rank)]
    parts = [normals(generator, *shape).requires_grad_() for shape in shapes]

    def loss(emissions, first, second, dynamic):
        transitions = Transitions(first=first, second=second, dynamic=dynamic)
        return crf_loss(emissions, transitions, texts, COUNTS, beam=beam)

    assert torch.autograd.gradcheck(loss, parts)


def test_what_cannot_be_written_and_what_fills_up_have_no_gradient():
    """Infinite or undefined numbers behind a row's end, and in rows without any path, stay there."""
    dag = random_dag(source(0), [2, 5, 2], vocab=VOCAB)
    dag.links[1, 0, 3] = dag.tokens[1, 2, 2] = -math.inf
    tokens, links = dag.tokens.requires_grad_(), dag.links.requires_grad_()
    loss = dag_loss(Dag(tokens=tokens, links=links, counts=COUNTS), torch.tensor([[1, 2, 0]] * 3), LENGTHS)
    gradients = torch.autograd.grad(loss, (tokens, links))
    for gradient in gradients:
        assert bool(gradient.isfinite().all())
        assert bool((gradient[2] == 0).all())
        assert bool((gradient[:2] != 0).any())
    assert bool((gradients[0][0, 2:] == 0).all())
    assert bool((gradients[1][1].tril() == 0).all())


def test_a_reduction_counts_each_row_once_and_its_tokens_alike():
    likelihoods = torch.tensor([-6.0, -math.inf, -2.0], requires_grad=True)
    loss = per_token(likelihoods, torch.tensor([3, 5, 1]))
    assert loss.item() == pytest.approx((2.0 + 0.0 + 2.0) / 3)
    loss.backward()
    assert likelihoods.grad is not None
    assert likelihoods.grad.tolist() == pytest.approx([-1 / 9, 0.0, -1 / 3])
