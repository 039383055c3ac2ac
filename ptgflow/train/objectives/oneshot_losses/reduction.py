"""From log-probabilities of texts to one number, in the same way for every loss."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def per_token(likelihoods: Float[Tensor, " batch"], lengths: Int[Tensor, " batch"]) -> Float[Tensor, ""]:
    """The mean over rows of nats per token; a row whose text cannot be written at all counts as zero.

    That is what `torch.nn.functional.ctc_loss` does with `zero_infinity`, and DA-Transformer with texts that are too
    long for their graph. Such a row has no gradient.
    """
    impossible = likelihoods == -torch.inf
    return -(likelihoods.masked_fill(impossible, 0.0) / lengths.clamp(min=1)).mean()
