"""Decoding step by step: all steps of all vertices are chosen at once, then followed from the first."""

import math

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.oneshot.dag.graph import Dag, Path, weighted, written_along


def greedy(dag: Dag) -> list[Path]:
    """Always along the likeliest link; each vertex writes its likeliest token (arXiv 2205.07459)."""
    return written_along(dag, _followed(dag, dag.later))


def lookahead(dag: Dag, *, beta: float = 1.0) -> list[Path]:
    """Each step is the best pair of the next vertex and what it writes (arXiv 2205.07459).

    That is argmax over a' of log P(a' | a) + beta max over y of log P(y | a'): the token is the likeliest in any case.
    The reference then drops repetitions, as it does for `greedy`.
    """
    return written_along(dag, _followed(dag, dag.later + weighted(dag.likeliest, beta)[:, None, :]))


def _followed(dag: Dag, steps: Float[Tensor, "batch vertices vertices"]) -> list[list[int]]:
    """The path of each row that takes the best step at each vertex; the first of equally good ones."""
    best = steps.max(dim=-1)
    paths: list[list[int]] = []
    for following, scores, count in zip(best.indices.tolist(), best.values.tolist(), dag.counts.tolist(), strict=True):
        path = [0]
        while path[-1] < count - 1:
            assert scores[path[-1]] != -math.inf, "every vertex before the last leads on"
            path.append(following[path[-1]])
        paths.append(path)
    return paths
