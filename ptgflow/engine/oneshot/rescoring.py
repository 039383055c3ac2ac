"""The choice among candidates of several lengths by a model that reads them in order."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def mean_scores(
    scores: Float[Tensor, "batch candidates places"], lengths: Int[Tensor, "batch candidates"]
) -> Float[Tensor, "batch candidates"]:
    """The mean log-probability of each candidate's tokens; -inf of a candidate without any.

    Args:
        scores: Log-probability of each token after those before it; what follows a candidate's end is not read.
        lengths: Tokens of each candidate.
    """
    inside = torch.arange(scores.shape[-1], device=scores.device) < lengths[..., None]
    means = scores.where(inside, 0.0).sum(dim=-1) / lengths.clamp(min=1)
    return means.masked_fill(lengths == 0, -torch.inf)


def best_candidates(
    scores: Float[Tensor, "batch candidates places"], lengths: Int[Tensor, "batch candidates"]
) -> Int[Tensor, " batch"]:
    """The candidate of each row that the autoregressive model finds likeliest for each token, the first of equals.

    Noisy parallel decoding (Gu et al., arXiv 1711.02281), with the mean in place of the sum, as in fairseq: a sum
    prefers the short ones. A row with fewer candidates is filled up with empty ones.
    """
    return mean_scores(scores, lengths).argmax(dim=-1)
