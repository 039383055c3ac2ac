"""Random graphs of a few vertices, and all of their paths."""

import itertools
import math
from functools import lru_cache

import torch

from ptgflow.engine.oneshot.dag import Dag
from tests.engine.oneshot.laws import log_law, normals


def random_dag(generator, counts, *, vocab=3, cut=0.0):
    """Links of each row are normalised over its later vertices; what must not be read is nan.

    Args:
        cut: The share of links and of tokens that are impossible, save each vertex's link to the next and one token.
    """
    size = max(counts)
    links = torch.full((len(counts), size, size), math.nan, dtype=torch.float64)
    tokens = torch.full((len(counts), size, vocab), math.nan, dtype=torch.float64)
    for row, count in enumerate(counts):
        tokens[row, :count] = log_law(generator, count, vocab, holes=cut)
        for vertex in range(count - 1):
            scores = normals(generator, count - 1 - vertex)
            gone = torch.rand(scores.shape, generator=generator, dtype=torch.float64) < cut
            gone[0] = False
            links[row, vertex, vertex + 1 : count] = scores.masked_fill(gone, -math.inf).log_softmax(dim=-1)
    return Dag(tokens=tokens, links=links, counts=torch.tensor(counts))


def all_paths(count):
    """Every way from vertex 0 to the last; a graph of one vertex has one."""
    if count == 1:
        return [(0,)]
    inner = range(1, count - 1)
    return [(0, *between, count - 1) for size in range(count - 1) for between in itertools.combinations(inner, size)]


@lru_cache(maxsize=4)
def numbers(dag):
    """Tokens and links as plain numbers, which enumeration reads many times."""
    return dag.tokens.tolist(), dag.links.tolist()


def path_score(dag, row, path):
    links = numbers(dag)[1][row]
    return math.fsum(links[u][v] for u, v in itertools.pairwise(path))


def text_score(dag, row, path, text):
    tokens = numbers(dag)[0][row]
    return path_score(dag, row, path) + math.fsum(
        tokens[vertex][token] for vertex, token in zip(path, text, strict=True)
    )


def alone(dag, row):
    """One row without the others and without what fills it up."""
    count = int(dag.counts[row])
    return Dag(
        tokens=dag.tokens[row : row + 1, :count],
        links=dag.links[row : row + 1, :count, :count],
        counts=dag.counts[row : row + 1],
    )
