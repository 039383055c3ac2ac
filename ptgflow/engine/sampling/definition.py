"""The distribution that is sampled at temperature > 0: its definition, for one line at a time."""

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from ptgflow.contracts.settings import Sampling


def filters(sampling: Sampling, vocab: int) -> bool:
    """Whether any token may be left out of the distribution."""
    return limit(sampling, vocab) is not None or sampling.top_p < 1.0 or sampling.min_p > 0.0


def limit(sampling: Sampling, vocab: int) -> int | None:
    """How many tokens top-k leaves; None: all."""
    return sampling.top_k if sampling.top_k is not None and sampling.top_k < vocab else None


def log_floor(sampling: Sampling) -> float:
    """By how much a token's log-probability may be below that of the likeliest one: the logarithm of min-p."""
    return math.log(sampling.min_p) if sampling.min_p > 0.0 else -math.inf


def defined_law(scores: Float[Tensor, " vocab"], sampling: Sampling) -> Float64[Tensor, " vocab"]:
    """The distribution over the vocabulary after temperature and filters; 0 for what is filtered out.

    The order is that of transformers' processors: temperature, top-k (Fan et al., arXiv 1805.04833, section 5.4),
    top-p (Holtzman et al., arXiv 1904.09751, section 3.1), min-p (Nguyen et al., arXiv 2407.01082, section 3). Each
    reads what the one before left; all keep at least the likeliest token. Of tokens equal to the k-th likeliest top-k
    keeps all. Of equal ones at the edge of the nucleus top-p keeps the first, as greedy decoding does; transformers
    leaves open which.

    Args:
        scores: logits after penalties and biases.
        sampling: its temperature is positive.
    """
    assert sampling.temperature > 0, "at temperature 0 nothing is sampled"
    scores = scores.double() / sampling.temperature
    most = limit(sampling, len(scores))
    if most is not None:
        scores = scores.masked_fill(scores < scores.topk(most).values[-1], -torch.inf)
    if sampling.top_p < 1.0:
        # Backwards, so that of equal ones the last is dropped first.
        ascending, order = scores.flip(0).sort(stable=True)
        drop = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1.0 - sampling.top_p
        drop[-1] = False
        scores = scores.masked_fill(drop.scatter(-1, order, drop).flip(0), -torch.inf)
    if sampling.min_p > 0.0:
        scores = scores.masked_fill(scores - scores.amax() < log_floor(sampling), -torch.inf)
    return scores.softmax(dim=-1)
