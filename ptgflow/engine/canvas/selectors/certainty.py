"""How sure a model is of each hole, by several scores, and the surest of them.

A score reads the law of a hole and not the token that was drawn from it. A choice by the probability of the drawn token
would prefer likely draws, and the text would no longer have the model's law even with one token a round.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

Score = Literal["probability", "margin", "entropy", "random"]


def confidence(law: Float[Tensor, "holes vocab"]) -> Float64[Tensor, " holes"]:
    """The probability of the likeliest token at each hole (survey, Eq. 11)."""
    return law.amax(dim=-1).double().exp()


def margin(law: Float[Tensor, "holes vocab"]) -> Float64[Tensor, " holes"]:
    """By how much the likeliest token is likelier than the second (survey, Eq. 14)."""
    if law.shape[-1] == 1:
        return confidence(law)
    best = law.topk(2, dim=-1).values.double().exp()
    return best[:, 0] - best[:, 1]


def entropies(law: Float[Tensor, "holes vocab"]) -> Float64[Tensor, " holes"]:
    """The entropy of each hole in nats (survey, Eq. 15)."""
    law = law.double()
    share = law.exp()
    # A token without weight adds nothing, where 0 times minus infinity is not a number.
    return -(share * law.masked_fill(share == 0.0, 0.0)).sum(dim=-1)


def uniform(count: int, like: Tensor, generator: torch.Generator) -> Float64[Tensor, " holes"]:
    """Numbers in [0, 1) where `like` is; drawn where the generator is."""
    return torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device).to(like.device)


def gumbel(count: int, like: Tensor, generator: torch.Generator) -> Float64[Tensor, " holes"]:
    """Standard Gumbel noise: of scores with it added, the largest is a draw from their softmax."""
    tiny = torch.finfo(torch.float64).tiny
    return -(-uniform(count, like, generator).clamp(min=tiny).log()).clamp(min=tiny).log()


def descending(scores: Float64[Tensor, " holes"]) -> Int[Tensor, " holes"]:
    """Indices from the highest score to the lowest; of equal ones the first place comes first."""
    return scores.sort(descending=True, stable=True).indices


def surest(scores: Float64[Tensor, " holes"], count: int) -> Bool[Tensor, " holes"]:
    """Those with the `count` highest scores; all of them, if there are no more."""
    chosen = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    chosen[descending(scores)[: max(count, 0)]] = True
    return chosen
