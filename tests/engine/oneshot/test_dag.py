"""Decoding of graphs against all of their paths."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ptgflow.engine.oneshot.dag import (
    Dag,
    beam_search,
    greedy,
    joint_viterbi,
    log_likelihood,
    lookahead,
    viterbi,
)
from ptgflow.engine.oneshot.written import without_repeats
from tests.engine.oneshot.graphs import all_paths, alone, numbers, path_score, random_dag, text_score
from tests.engine.oneshot.laws import log_total, seeds, source, texts_up_to

VOCAB = 3
rows = st.lists(st.integers(1, 5), min_size=1, max_size=3)
cuts = st.sampled_from([0.0, 0.4])
betas = st.sampled_from([0.0, 0.5, 1.0, 1.7])


def graphs(seed, counts, cut=0.0):
    return random_dag(source(seed), counts, vocab=VOCAB, cut=cut)


def likeliest(dag, row, vertex):
    return max(range(VOCAB), key=numbers(dag)[0][row][vertex].__getitem__)


@given(seeds, rows, cuts)
def test_greedy_takes_the_best_link_at_each_vertex(seed, counts, cut):
    dag = graphs(seed, counts, cut)
    for row, found in enumerate(greedy(dag)):
        path = [0]
        while path[-1] < counts[row] - 1:
            now = path[-1]
            path.append(max(range(now + 1, counts[row]), key=numbers(dag)[1][row][now].__getitem__))
        assert found.vertices == tuple(path)
        assert found.tokens == tuple(likeliest(dag, row, vertex) for vertex in path)
        assert found.score == pytest.approx(text_score(dag, row, path, found.tokens))


@given(seeds, rows, cuts, betas)
def test_lookahead_takes_the_best_pair_of_vertex_and_token(seed, counts, cut, beta):
    dag = graphs(seed, counts, cut)
    tokens_of, links_of = numbers(dag)
    for row, found in enumerate(lookahead(dag, beta=beta)):
        path, tokens = [0], [likeliest(dag, row, 0)]
        while path[-1] < counts[row] - 1:
            pairs = itertools.product(range(path[-1] + 1, counts[row]), range(VOCAB))
            scores = {
                (v, y): links_of[row][path[-1]][v] + (beta * tokens_of[row][v][y] if beta else 0.0) for v, y in pairs
            }
            vertex, token = max(scores, key=scores.__getitem__)
            path.append(vertex)
            # Where tokens have no weight every one is as good; the likeliest is written.
            tokens.append(token if beta else likeliest(dag, row, vertex))
        assert (found.vertices, found.tokens) == (tuple(path), tuple(tokens))
        assert found.score == pytest.approx(text_score(dag, row, path, tokens))


@given(seeds, rows, cuts)
def test_lookahead_without_weight_on_tokens_is_greedy(seed, counts, cut):
    dag = graphs(seed, counts, cut)
    assert lookahead(dag, beta=0.0) == greedy(dag)


def counted(path, uncounted):
    return len(path) - uncounted


@given(seeds, rows, cuts, betas, st.integers(0, 2))
def test_viterbi_finds_the_best_path_for_its_length(seed, counts, cut, beta, uncounted):
    counts = [count + uncounted for count in counts]
    dag = graphs(seed, counts, cut)
    for row, found in enumerate(viterbi(dag, beta=beta, uncounted=uncounted)):
        scores = {
            path: path_score(dag, row, path) / counted(path, uncounted) ** beta
            for path in all_paths(counts[row])
            if counted(path, uncounted) > 0
        }
        assert scores[found.vertices] == pytest.approx(max(scores.values()), abs=1e-9)
        assert found.tokens == tuple(likeliest(dag, row, vertex) for vertex in found.vertices)
        assert found.score == pytest.approx(text_score(dag, row, found.vertices, found.tokens))


@given(seeds, st.lists(st.integers(1, 3), min_size=1, max_size=2), cuts, betas, st.integers(0, 2))
def test_joint_viterbi_finds_the_best_path_with_its_tokens(seed, counts, cut, beta, uncounted):
    counts = [count + uncounted for count in counts]
    dag = graphs(seed, counts, cut)
    for row, found in enumerate(joint_viterbi(dag, beta=beta, uncounted=uncounted)):
        best = max(
            text_score(dag, row, path, text) / counted(path, uncounted) ** beta
            for path in all_paths(counts[row])
            if counted(path, uncounted) > 0
            for text in itertools.product(range(VOCAB), repeat=len(path))
        )
        here = text_score(dag, row, found.vertices, found.tokens)
        assert here / counted(found.vertices, uncounted) ** beta == pytest.approx(best, abs=1e-9)
        assert found.score == pytest.approx(here)


@given(seeds, st.integers(2, 6), st.data())
def test_viterbi_keeps_to_the_longest_that_is_allowed(seed, count, data):
    longest = data.draw(st.integers(2, count))
    dag = graphs(seed, [count])
    [found] = viterbi(dag, longest=longest, beta=5.0)
    scores = {path: path_score(dag, 0, path) / len(path) ** 5 for path in all_paths(count) if len(path) <= longest}
    assert scores[found.vertices] == pytest.approx(max(scores.values()), abs=1e-9)


@given(seeds, rows, cuts)
def test_the_score_of_a_text_is_the_sum_over_its_paths(seed, counts, cut):
    dag = graphs(seed, counts, cut)
    paths = [all_paths(count) for count in counts]
    for text in texts_up_to(range(VOCAB), min(max(counts) + 1, 3), shortest=1):
        texts = torch.tensor([[*text, 0]]).expand(len(counts), -1)
        lengths = torch.full((len(counts),), len(text))
        for row, score in enumerate(log_likelihood(dag, texts, lengths).tolist()):
            scores = [text_score(dag, row, path, text) for path in paths[row] if len(path) == len(text)]
            assert score == pytest.approx(log_total(scores), abs=1e-9)


@given(seeds, st.integers(1, 4), cuts)
def test_all_texts_together_are_certain(seed, count, cut):
    dag = graphs(seed, [count], cut)
    texts = list(texts_up_to(range(VOCAB), count, shortest=1))
    many = Dag(
        tokens=dag.tokens.expand(len(texts), -1, -1),
        links=dag.links.expand(len(texts), -1, -1),
        counts=dag.counts.expand(len(texts)),
    )
    padded = torch.tensor([[*text, *[0] * (count - len(text))] for text in texts])
    scores = log_likelihood(many, padded, torch.tensor([len(text) for text in texts]))
    assert float(scores.exp().sum()) == pytest.approx(1.0)


@given(seeds, st.lists(st.integers(1, 4), min_size=1, max_size=2), cuts)
def test_a_search_without_bounds_finds_every_text_with_its_score(seed, counts, cut):
    dag = graphs(seed, counts, cut)
    found = beam_search(dag, width=None, same_length=None, candidates=None, top_p=None, alpha=1.1)
    for row, texts in enumerate(found):
        scores = {}
        for path in all_paths(counts[row]):
            for text in itertools.product(range(VOCAB), repeat=len(path)):
                scores.setdefault(text, []).append(text_score(dag, row, path, text))
        totals = {text: log_total(each) for text, each in scores.items()}
        possible = {text: score for text, score in totals.items() if score > -math.inf}
        assert {text.tokens: text.score for text in texts} == pytest.approx(possible, abs=1e-9)
        ranks = [text.score / len(text.tokens) ** 1.1 for text in texts]
        assert ranks == sorted(ranks, reverse=True)


@given(seeds, rows, st.integers(1, 4), st.integers(1, 2), st.integers(1, 3), st.sampled_from([None, 0.3, 0.9]))
def test_a_bounded_search_claims_no_more_than_there_is(seed, counts, width, same_length, candidates, top_p):
    dag = graphs(seed, counts)
    found = beam_search(dag, width=width, same_length=same_length, candidates=candidates, top_p=top_p)
    for row, texts in enumerate(found):
        assert len(texts) <= width
        lengths = [len(text.tokens) for text in texts]
        assert all(lengths.count(length) <= same_length for length in lengths)
        for text in texts:
            whole = log_likelihood(alone(dag, row), torch.tensor([text.tokens]), torch.tensor([len(text.tokens)]))
            assert text.score <= float(whole) + 1e-9


@given(seeds, rows)
def test_the_narrowest_search_is_lookahead(seed, counts):
    dag = graphs(seed, counts)
    found = beam_search(dag, width=1, candidates=1)
    assert [[text.tokens for text in texts] for texts in found] == [[path.tokens] for path in lookahead(dag)]


DECODERS = {
    "greedy": greedy,
    "lookahead": lookahead,
    "viterbi": viterbi,
    "joint_viterbi": joint_viterbi,
    "beam_search": beam_search,
}


@pytest.mark.parametrize("name", DECODERS)
@given(seeds, rows, cuts)
def test_a_row_is_read_as_if_it_were_alone(name, seed, counts, cut):
    dag = graphs(seed, counts, cut)
    together = DECODERS[name](dag)
    assert together == [DECODERS[name](alone(dag, row))[0] for row in range(len(counts))]


@given(seeds, rows, cuts)
def test_a_text_is_scored_as_if_its_row_were_alone(seed, counts, cut):
    generator = source(seed)
    dag = random_dag(generator, counts, vocab=VOCAB, cut=cut)
    texts = torch.randint(0, VOCAB, (len(counts), 4), generator=generator)
    lengths = torch.randint(1, 5, (len(counts),), generator=generator)
    together = log_likelihood(dag, texts, lengths)
    for row in range(len(counts)):
        length = int(lengths[row])
        single = log_likelihood(alone(dag, row), texts[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], single, rtol=0, atol=1e-12)


@given(st.lists(st.integers(0, 2)).map(tuple))
def test_repetitions_are_written_once(tokens):
    found = without_repeats(tokens)
    assert all(a != b for a, b in itertools.pairwise(found))
    rest = iter(tokens)
    assert all(token in rest for token in found), "nothing is reordered"
    assert without_repeats(tuple(token for token in found for _ in range(3))) == found
    assert set(found) == set(tokens)


def test_a_dead_end_is_no_endless_walk():
    dag = graphs(0, [3])
    cut_off = replace(dag, links=torch.full_like(dag.links, -math.inf))
    for decode in (greedy, lookahead, viterbi, joint_viterbi):
        with pytest.raises(AssertionError, match=r"every vertex|is reached"):
            decode(cut_off)
