"""Small random predictions, and brute force over everything that they could mean."""

import itertools
import math

import torch
from hypothesis import strategies as st

seeds = st.integers(0, 2**32 - 1)


def source(seed):
    return torch.Generator().manual_seed(seed)


def normals(generator, *shape, spread=1.5):
    return spread * torch.randn(*shape, generator=generator, dtype=torch.float64)


def log_law(generator, *shape, spread=1.5, holes=0.0):
    """Log-probabilities along the last axis; some tokens have none, but the first that is left always has."""
    scores = normals(generator, *shape, spread=spread)
    if holes:
        without = torch.rand(shape, generator=generator, dtype=torch.float64) < holes
        without[..., -1] = False
        scores = scores.masked_fill(without, -math.inf)
    return scores.log_softmax(dim=-1)


def log_total(values):
    """The logarithm of a sum, by way of `math.fsum` on probabilities."""
    total = math.fsum(math.exp(value) for value in values)
    return math.log(total) if total else -math.inf


def texts_up_to(vocab, longest, *, shortest=0):
    for length in range(shortest, longest + 1):
        yield from itertools.product(vocab, repeat=length)
