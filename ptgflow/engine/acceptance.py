"""Acceptance rules: which proposals the target keeps, and which token it writes after them. No model inside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float64
from torch import Tensor

from ptgflow.contracts.guarantee import Level
from ptgflow.engine.randomness import Purpose, Uniforms
from ptgflow.engine.request import Acceptance
from ptgflow.engine.sampling import draw


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the target said of a draft."""

    accepted: int
    """How many leading proposals are kept."""
    token: int
    """What the target wrote after them: a correction, or the bonus token when all were kept."""


Judge = Callable[
    [Float64[Tensor, "positions vocab"], Sequence[int], Float64[Tensor, "drafted vocab"] | None, int, Uniforms], Judged
]
"""Arguments: the target's distributions (one more than proposals), the proposals, the draft model's distributions
(None: the drafter is deterministic, so each is one-hot), the position of the first proposal in the answer, and the
source of uniform numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceRule:
    """A rule and what it promises."""

    name: Acceptance
    judge: Judge
    """Used at temperature > 0. At temperature 0 every rule is `greedy_match`."""
    same_text_as_sampling: bool
    """Whether a seed gives the very text that plain autoregressive sampling gives with it, whatever is proposed."""

    def guarantee(self, temperature: float) -> Level:
        """What is promised of the text in relation to the target."""
        return "exact" if temperature == 0 else "distribution"


def greedy_match(targets: Sequence[int], draft: Sequence[int]) -> Judged:
    """Keep proposals as long as they are the target's likeliest token; `targets` has one more entry than `draft`."""
    assert len(targets) == len(draft) + 1, "the target says one token more than was proposed"
    accepted = 0
    while accepted < len(draft) and draft[accepted] == targets[accepted]:
        accepted += 1
    return Judged(accepted=accepted, token=targets[accepted])


def speculative(
    target: Float64[Tensor, "positions vocab"],
    draft: Sequence[int],
    proposal: Float64[Tensor, "drafted vocab"] | None,
    start: int,
    uniforms: Uniforms,
) -> Judged:
    """Speculative sampling: keep x with probability min(1, p(x) / q(x)), else draw from norm(max(p - q, 0)).

    Leviathan et al., arXiv 2211.17192, algorithm 1 and appendix A.1; Chen et al., arXiv 2302.01318, algorithm 2 and
    theorem 1. The text has the law of sampling the target, for any q that gave the draft.
    """
    _expect_one_more(target, draft)
    for place, token in enumerate(draft):
        p = target[place]
        q = _one_hot(token, p) if proposal is None else proposal[place]
        assert q[token] > 0, "a draft model proposes only what it gives some probability"
        if uniforms(start + place, Purpose.ACCEPT) < float(p[token] / q[token]):
            continue
        residual = residual_distribution(p, q)
        chance = uniforms(start + place, Purpose.RESIDUAL)
        return Judged(accepted=place, token=draw(residual, chance))
    bonus = draw(target[len(draft)], uniforms(start + len(draft), Purpose.DRAW))
    return Judged(accepted=len(draft), token=bonus)


def match(
    target: Float64[Tensor, "positions vocab"],
    draft: Sequence[int],
    proposal: Float64[Tensor, "drafted vocab"] | None,
    start: int,
    uniforms: Uniforms,
) -> Judged:
    """Draw the target's token at each position by that position's number, and keep proposals while they equal it.

    The text is that of plain sampling with the same numbers: what was proposed decides only how soon it is known.
    """
    del proposal  # The rule holds for any draft, so where it came from does not matter.
    _expect_one_more(target, draft)
    for place, token in enumerate(draft):
        own = draw(target[place], uniforms(start + place, Purpose.DRAW))
        if own != token:
            return Judged(accepted=place, token=own)
    bonus = draw(target[len(draft)], uniforms(start + len(draft), Purpose.DRAW))
    return Judged(accepted=len(draft), token=bonus)


def residual_distribution(p: Float64[Tensor, " vocab"], q: Float64[Tensor, " vocab"]) -> Float64[Tensor, " vocab"]:
    """max(p - q, 0), normalised: what is left of the target when the draft's share is taken away (2211.17192, 2.3)."""
    left = (p - q).clamp(min=0.0)
    total = left.sum()
    # Where p = q nothing is ever rejected, save by a rounding error in p / q; then p itself is right.
    return left / total if total > 0 else p


RULES: Final[Mapping[Acceptance, AcceptanceRule]] = {
    "speculative": AcceptanceRule(name="speculative", judge=speculative, same_text_as_sampling=False),
    "match": AcceptanceRule(name="match", judge=match, same_text_as_sampling=True),
}


def _one_hot(token: int, like: Float64[Tensor, " vocab"]) -> Float64[Tensor, " vocab"]:
    row = torch.zeros_like(like)
    row[token] = 1.0
    return row


def _expect_one_more(target: Float64[Tensor, "positions vocab"], draft: Sequence[int]) -> None:
    assert target.shape[0] == len(draft) + 1, "one distribution for each proposal and one for the bonus token"
