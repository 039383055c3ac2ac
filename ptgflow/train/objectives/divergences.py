"""How far two distributions are apart: what a draft model can be distilled by (DistillSpec, arXiv 2310.08461, 3.2)."""

import math
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.train.spec import Divergence

Apart = Callable[[Tensor, Tensor], Tensor]
"""From the log-probabilities of the target (p) and of the draft model (q) to a number of nats for each line."""


def forward_kl(p: Float[Tensor, "lines vocab"], q: Float[Tensor, "lines vocab"]) -> Float[Tensor, " lines"]:
    """KL(p || q): the draft model is to cover all that the target may write."""
    return (p.exp() * (p - q)).sum(dim=-1)


def reverse_kl(p: Float[Tensor, "lines vocab"], q: Float[Tensor, "lines vocab"]) -> Float[Tensor, " lines"]:
    """KL(q || p): the draft model is to write nothing that the target would not."""
    return forward_kl(q, p)


def jensen_shannon(
    p: Float[Tensor, "lines vocab"], q: Float[Tensor, "lines vocab"], *, beta: float
) -> Float[Tensor, " lines"]:
    """With m = beta p + (1 - beta) q between the two: beta KL(p || m) + (1 - beta) KL(q || m)."""
    middle = torch.logaddexp(p + math.log(beta), q + math.log1p(-beta))
    return beta * forward_kl(p, middle) + (1 - beta) * forward_kl(q, middle)


def total_variation(p: Float[Tensor, "lines vocab"], q: Float[Tensor, "lines vocab"]) -> Float[Tensor, " lines"]:
    """Half of the sum of |p - q|: the chance that a draw from q is rejected (arXiv 2211.17192, corollary 3.6)."""
    return (p.exp() - q.exp()).abs().sum(dim=-1) / 2


def divergence_of(name: Divergence, beta: float | None) -> Apart:
    """The divergence of a name; `beta` is of `jsd`, and None stands for 0.5."""
    made: dict[Divergence, Apart] = {
        "forward_kl": forward_kl,
        "reverse_kl": reverse_kl,
        "jsd": partial(jensen_shannon, beta=0.5 if beta is None else beta),
        "tvd": total_variation,
    }
    return made[name]
