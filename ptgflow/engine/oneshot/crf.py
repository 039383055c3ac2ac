"""A linear-chain CRF over what one pass predicts, small enough for a whole vocabulary (Sun et al., arXiv 1910.11555).

    P(y | x) = exp(sum over i of s[i, y[i]] + sum over i > 0 of t[i](y[i - 1], y[i])) / Z(x)

Two approximations make it affordable: transitions of low rank, and a beam of tokens at each place.
"""

from dataclasses import dataclass
from typing import Final, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.engine.oneshot.log_space import log_sum
from ptgflow.engine.oneshot.written import Written

RANK: Final = 32
"""As published."""
BEAM: Final = 64
"""As published."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transitions:
    """t[i](a, b) = E1[a] M[i] E2[b]: how well a token follows another."""

    first: Float[Tensor, "vocab rank"]
    """E1: of the token before."""
    second: Float[Tensor, "vocab rank"]
    """E2: of the token after."""
    dynamic: Float[Tensor, "batch steps rank rank"] | None = None
    """M: of each step, as many as there are places but one: what a small network makes of
    the states of both; None is the identity, as in fairseq."""

    def between(
        self, before: Int[Tensor, "batch steps left"], after: Int[Tensor, "batch steps right"]
    ) -> Float[Tensor, "batch steps left right"]:
        """The score of each pair of tokens at each step."""
        left = self.first[before]
        if self.dynamic is not None:
            left = left @ self.dynamic
        return left @ self.second[after].transpose(-1, -2)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lattice:
    """The few tokens that are looked at in each place, and the scores of and between them."""

    tokens: Int[Tensor, "batch places beam"]
    emissions: Float[Tensor, "batch places beam"]
    transitions: Float[Tensor, "batch steps beam beam"]
    counts: Int[Tensor, " batch"]
    """Places of each row, at least one. Behind them all scores are zero."""


def lattice(
    emissions: Float[Tensor, "batch places vocab"],
    counts: Int[Tensor, " batch"],
    transitions: Transitions,
    *,
    beam: int = BEAM,
    forced: Int[Tensor, "batch places"] | None = None,
) -> Lattice:
    """The `beam` best tokens of each place by their own scores.

    Args:
        emissions: s: scores of tokens, normalised or not.
        counts: Places of each row; what lies behind them is not read.
        transitions: What is between neighbours.
        beam: Tokens of a place.
        forced: A token of each place that is in the beam in any case, and the first in it; behind a row's end, any.
    """
    ranks = emissions if forced is None else emissions.scatter(2, forced[..., None], torch.inf)
    tokens = ranks.topk(min(beam, emissions.shape[-1]), dim=-1).indices
    behind = (torch.arange(emissions.shape[1], device=emissions.device) >= counts[:, None])[..., None]
    between = transitions.between(tokens[:, :-1], tokens[:, 1:])
    return Lattice(
        tokens=tokens,
        emissions=emissions.gather(2, tokens).masked_fill(behind, 0.0),
        transitions=between.masked_fill(behind[:, 1:, :, None], 0.0),
        counts=counts,
    )


def log_partition(lattice: Lattice) -> Float[Tensor, " batch"]:
    """The logarithm of Z of each row, over the tokens of the beam."""
    now = lattice.emissions[:, 0]
    for place in range(1, lattice.emissions.shape[1]):
        after = log_sum(now[..., None] + lattice.transitions[:, place - 1], dim=1) + lattice.emissions[:, place]
        now = torch.where((lattice.counts > place)[:, None], after, now)
    return log_sum(now, dim=1)


def path_score(lattice: Lattice, chosen: Int[Tensor, "batch places"]) -> Float[Tensor, " batch"]:
    """The score of one text of each row, given by the numbers of its tokens in the beam of their places."""
    own = lattice.emissions.gather(2, chosen[..., None])[..., 0]
    rows = lattice.transitions.gather(2, chosen[:, :-1, None, None].expand(-1, -1, 1, lattice.tokens.shape[-1]))
    steps = rows[:, :, 0].gather(2, chosen[:, 1:, None])[..., 0]
    return own.sum(dim=1) + steps.sum(dim=1)


def viterbi(lattice: Lattice) -> list[Written]:
    """The best text of each row over the tokens of the beam, with its score before normalisation."""
    now, before = lattice.emissions[:, 0], list[Tensor]()
    scores = [now]
    for place in range(1, lattice.emissions.shape[1]):
        reached = (now[..., None] + lattice.transitions[:, place - 1]).max(dim=1)
        now = reached.values + lattice.emissions[:, place]
        before.append(reached.indices)
        scores.append(now)
    found: list[Written] = []
    for row, count in enumerate(lattice.counts.tolist()):
        score, at = scores[count - 1][row].max(dim=0)
        chosen = [int(at)]
        for place in range(count - 1, 0, -1):
            chosen.append(int(before[place - 1][row, chosen[-1]]))
        tokens = lattice.tokens[row, torch.arange(count), chosen[::-1]].tolist()
        found.append(Written(tuple(tokens), float(score)))
    return found
