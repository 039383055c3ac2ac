"""The graph that one pass predicts, and a path through it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dag:
    """Graphs of a batch (Huang et al., arXiv 2205.07459). What lies behind a row's vertices is not read.

    A path starts at vertex 0, ends at the row's last and goes to a later vertex with each step; each vertex on it
    writes one token, the two ends included.
    """

    tokens: Float[Tensor, "batch vertices vocab"]
    """Log-probabilities of the token that each vertex writes, in nats."""
    links: Float[Tensor, "batch vertices vertices"]
    """Log-probabilities of the vertex (last axis) that comes after each. Only those to later vertices are read."""
    counts: Int[Tensor, " batch"]
    """Vertices of each row; at least one."""

    @property
    def inside(self) -> Bool[Tensor, "batch vertices"]:
        """Which vertices a row has."""
        return torch.arange(self.links.shape[-1], device=self.links.device) < self.counts[:, None]

    @property
    def likeliest(self) -> Float[Tensor, "batch vertices"]:
        """The score of each vertex's likeliest token; -inf behind a row's end."""
        return self.tokens.max(dim=-1).values.masked_fill(~self.inside, -torch.inf)

    @property
    def later(self) -> Float[Tensor, "batch vertices vertices"]:
        """The links, with -inf where they lead back, to where they come from, or out of a row."""
        size = self.links.shape[-1]
        ahead = torch.ones(size, size, dtype=torch.bool, device=self.links.device).triu(1)
        return self.links.masked_fill(~(ahead & self.inside[:, None, :]), -torch.inf)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A path through one row, with the likeliest token of each vertex."""

    vertices: tuple[int, ...]
    tokens: tuple[int, ...]
    """As they are written; the reference drops repetitions: `without_repeats`."""
    score: float
    """log P(tokens, vertices), whatever a decoder looks for."""


def written_along(dag: Dag, paths: Sequence[Sequence[int]]) -> list[Path]:
    """One path of each row, with what its vertices write."""
    best = dag.tokens.max(dim=-1)
    found: list[Path] = []
    for row, path in enumerate(paths):
        at = torch.tensor(path, device=dag.links.device)
        score = best.values[row, at].sum() + dag.links[row, at[:-1], at[1:]].sum()
        tokens = best.indices[row, at].tolist()
        found.append(Path(vertices=tuple(path), tokens=tuple(tokens), score=float(score)))
    return found


def weighted(scores: Tensor, beta: float) -> Tensor:
    """Scores times a weight; what is impossible stays so, even if nothing is made of scores."""
    return (beta * scores).masked_fill(scores == -torch.inf, -torch.inf)


def at_last(
    values: Float[Tensor, "batch left"], counts: Int[Tensor, " batch"], *, without: int
) -> Float[Tensor, " batch"]:
    """The value of each row's last vertex, of values that leave out so many of the first vertices; -inf if it too."""
    last = counts - 1 - without
    found = values.gather(1, last.clamp(min=0)[:, None])[:, 0]
    return found.masked_fill(last < 0, -torch.inf)
