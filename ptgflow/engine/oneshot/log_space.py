"""Sums of what is given by its logarithm, where nothing at all is a case like any other."""

import math

import torch
from torch import Tensor


def log_sum(values: Tensor, dim: int) -> Tensor:
    """The logarithm of the sum of exp(values) along an axis; -inf where all of them are.

    There the gradient is zero, and not nan as it is of `torch.logsumexp`.
    """
    nothing = (values == -torch.inf).all(dim=dim)
    found = values.masked_fill(nothing.unsqueeze(dim), 0.0).logsumexp(dim)
    return found.masked_fill(nothing, -torch.inf)


def log_add(one: float, other: float) -> float:
    """The same of two numbers, for searches that have no use for tensors."""
    high, low = (one, other) if one >= other else (other, one)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
