"""Beam search over texts: paths that have written the same are one."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.oneshot.dag.graph import Dag, weighted
from ptgflow.engine.oneshot.log_space import log_add
from ptgflow.engine.oneshot.written import Written

Text = tuple[int, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    """What a search follows; None: everything."""

    width: int | None
    same_length: int | None
    top_p: float | None
    alpha: float
    uncounted: int

    def normalised(self, text: Text, mass: float) -> float:
        return mass / max(len(text) - self.uncounted, 1) ** self.alpha

    def kept(self, at: dict[Text, float], ranks: dict[Text, float]) -> list[Text]:
        """The best of the texts that reach a vertex, not too many of them of one length."""
        order = sorted(at, key=lambda text: (-self.normalised(text, ranks[text]), text))
        if self.same_length is not None:
            seen, chosen = defaultdict[int, int](int), list[Text]()
            for text in order:
                seen[len(text)] += 1
                if seen[len(text)] <= self.same_length:
                    chosen.append(text)
            order = chosen
        return order[: self.width]


@final
@dataclass(frozen=True, slots=True)
class _Step:
    """One way on from a vertex."""

    vertex: int
    token: int
    score: float


def beam_search(
    dag: Dag,
    *,
    width: int | None = 100,
    same_length: int | None = 10,
    candidates: int | None = 5,
    top_p: float | None = 0.9,
    alpha: float = 1.1,
    beta: float = 1.0,
    uncounted: int = 0,
) -> list[list[Written]]:
    """For each row the texts that are found, best first by log P(text) / length^alpha (arXiv 2205.07459).

    Vertex by vertex, each text that is kept goes on along the best steps. What is kept at a vertex is ranked as the
    reference does, by all that was found so far of paths that have written the text, wherever they are; at the last
    vertex by what ends there, which is the score that is given. There is no n-gram model. With no bounds the
    scores are the log-probabilities of all texts that are possible.

    Args:
        dag: The graphs.
        width: Texts that go on from one vertex; None: all.
        same_length: Most of them that are equally long.
        candidates: Steps from each vertex, and tokens of each vertex that steps to it may write; None: all.
        top_p: Steps are tried, likeliest first, until they are together as likely as this; None: all are.
        alpha: Power of the length; 0 does not normalise.
        beta: Weight of tokens against links, with which neither the ranks nor the scores are log-probabilities.
        uncounted: Tokens that do not count towards the length: 1 in the reference, its mark of the beginning.
    """
    bounds = _Bounds(width=width, same_length=same_length, top_p=top_p, alpha=alpha, uncounted=uncounted)
    values, tokens = _largest(dag.tokens, candidates)
    scores = weighted(values.masked_fill(~dag.inside[..., None], -torch.inf), beta)
    steps = _steps(dag.later, scores, tokens, candidates)
    starts = [
        [_Step(0, token, score) for token, score in zip(*first, strict=True) if score > -math.inf]
        for first in zip(tokens[:, 0].tolist(), scores[:, 0].tolist(), strict=True)
    ]
    return [
        _search(start, steps[row][: count - 1], bounds)
        for row, (start, count) in enumerate(zip(starts, dag.counts.tolist(), strict=True))
    ]


def _steps(
    links: Float[Tensor, "batch vertices vertices"],
    scores: Float[Tensor, "batch vertices tokens"],
    ids: Tensor,
    candidates: int | None,
) -> list[list[list[_Step]]]:
    """The best steps from each vertex of each row, best first."""
    rows, _, few = scores.shape
    pairs = (links[..., None] + scores[:, None]).flatten(2)
    best = _largest(pairs, candidates)
    vertices, chosen = best[1] // few, best[1] % few
    written = ids.flatten(1).gather(1, (vertices * few + chosen).flatten(1)).view_as(vertices)
    return [
        [
            [_Step(*step) for step in zip(*at, strict=True) if step[-1] > -math.inf]
            for at in zip(vertices[row].tolist(), written[row].tolist(), best[0][row].tolist(), strict=True)
        ]
        for row in range(rows)
    ]


def _largest(values: Float[Tensor, "*lines size"], count: int | None) -> tuple[Tensor, Tensor]:
    """The largest so many of each line and where they are; all, in order, if None."""
    size = values.shape[-1]
    found = torch.topk(values, size if count is None else min(count, size), dim=-1)
    return found.values, found.indices


def _search(start: Sequence[_Step], steps: Sequence[Sequence[_Step]], bounds: _Bounds) -> list[Written]:
    """Follow one row's steps from each of its vertices but the last."""
    reached: list[dict[Text, float]] = [{} for _ in range(len(steps) + 1)]
    everywhere = defaultdict[Text, float](lambda: -math.inf)
    for step in _likely(start, bounds.top_p):
        reached[0][(step.token,)] = everywhere[(step.token,)] = step.score
    for vertex, ahead in enumerate(steps):
        followed = _likely(ahead, bounds.top_p)
        for text in bounds.kept(reached[vertex], everywhere):
            for step in followed:
                longer, mass = (*text, step.token), reached[vertex][text] + step.score
                there = reached[step.vertex]
                there[longer] = log_add(there.get(longer, -math.inf), mass)
                everywhere[longer] = log_add(everywhere[longer], mass)
    last = reached[-1]
    return [Written(text, last[text]) for text in bounds.kept(last, last)]


def _likely(steps: Sequence[_Step], top_p: float | None) -> list[_Step]:
    """Steps from the likeliest on, until they are together as likely as `top_p`; at least one if there is one."""
    found, together = list[_Step](), 0.0
    for step in steps:
        if found and top_p is not None and together >= top_p:
            break
        found.append(step)
        together += math.exp(step.score)
    return found
