"""From logits to the distribution that is sampled, and from a uniform number to a token."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from ptgflow.contracts.settings import Sampling


def penalised(
    logits: Float[Tensor, "positions vocab"], penalty: float, seen: Bool[Tensor, "positions vocab"]
) -> Float[Tensor, "positions vocab"]:
    """Divide the positive and multiply the negative logits of tokens seen so far.

    Keskar et al., "CTRL", arXiv 1909.05858, section 4.1, in the form that keeps the sign of a logit.
    """
    changed = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(seen, changed, logits)


def seen_tokens(
    context: Sequence[int], draft: Sequence[int], vocab: int, device: torch.device
) -> Bool[Tensor, "positions vocab"]:
    """Which tokens stand before position i, that is in `context` and `draft[:i]`, for i from 0 to `len(draft)`."""
    seen = torch.zeros(len(draft) + 1, vocab, dtype=torch.bool, device=device)
    seen[:, torch.tensor(context, dtype=torch.long, device=device)] = True
    for place, token in enumerate(draft):
        seen[place + 1 :, token] = True
    return seen


def log_probabilities(
    logits: Float[Tensor, "positions vocab"], sampling: Sampling, seen: Bool[Tensor, "positions vocab"] | None
) -> Float64[Tensor, "positions vocab"]:
    """The normalised log-distribution, in nats, that is sampled at temperature > 0; -inf for what is filtered out.

    The order is that of transformers' processors: repetition penalty, temperature, top-k (Fan et al., arXiv 1805.04833,
    section 5.4), top-p (Holtzman et al., arXiv 1904.09751, section 3.1), min-p (Nguyen et al., arXiv 2407.01082,
    section 3). Each filter reads what the one before left; all keep at least the likeliest token.

    Args:
        logits: the target's, one row for each position.
        sampling: temperature must be positive.
        seen: what the repetition penalty applies to; None where there is no penalty.
    """
    assert sampling.temperature > 0, "temperature 0 is greedy and has no distribution; use greedy()"
    scores = logits.double()
    if seen is not None:
        scores = penalised(scores, sampling.repetition_penalty, seen)
    scores = scores / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < scores.shape[-1]:
        weakest = scores.topk(sampling.top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < weakest, -torch.inf)
    if sampling.top_p < 1.0:
        scores = _nucleus(scores, sampling.top_p)
    if sampling.min_p > 0.0:
        shares = scores - scores.amax(dim=-1, keepdim=True)
        scores = scores.masked_fill(shares.exp() < sampling.min_p, -torch.inf)
    return scores.log_softmax(dim=-1)


def _nucleus(scores: Float64[Tensor, "positions vocab"], top_p: float) -> Float64[Tensor, "positions vocab"]:
    ascending, order = scores.sort(dim=-1)
    drop = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1.0 - top_p
    drop[:, -1] = False
    return scores.masked_fill(drop.scatter(-1, order, drop), -torch.inf)


def greedy(
    logits: Float[Tensor, "positions vocab"], penalty: float, seen: Bool[Tensor, "positions vocab"] | None
) -> Int[Tensor, " positions"]:
    """The likeliest token at each position, after the repetition penalty; the first of equal ones."""
    if seen is not None:
        logits = penalised(logits, penalty, seen)
    return logits.argmax(dim=-1)


def draw(probabilities: Float64[Tensor, " vocab"], chance: float) -> int:
    """The token at which the cumulative distribution first exceeds `chance`, a number in [0, 1).

    The weights need not sum to one; a token of weight zero is never drawn.
    """
    cumulative = probabilities.cumsum(dim=0)
    total = cumulative[-1]
    found = torch.searchsorted(cumulative, total * chance, right=True)
    # Rounding may carry chance * total up to the total itself: then the last token that has any weight is meant.
    last = torch.searchsorted(cumulative, total, right=False)
    return int(torch.minimum(found, last))


def chosen(scores: Float[Tensor, "positions vocab"], tokens: Sequence[int]) -> tuple[float, ...]:
    """The score of `tokens[i]` in row i, never above 0."""
    index = torch.tensor(tokens, dtype=torch.long, device=scores.device)
    picked = scores[: len(tokens)].gather(-1, index[:, None])[:, 0]
    return tuple(picked.clamp(max=0.0).tolist())
