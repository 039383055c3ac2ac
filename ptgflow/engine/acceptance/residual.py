"""What is left of the target when a draft's share is taken away, and what that share is."""

import torch
from jaxtyping import Float64
from torch import Tensor

from ptgflow.engine.trees import TokenTree


def residual_distribution(p: Float64[Tensor, " vocab"], q: Float64[Tensor, " vocab"]) -> Float64[Tensor, " vocab"]:
    """max(p - q, 0), normalised: what is left of the target when the draft's share is taken away (2211.17192, 2.3)."""
    left = (p - q).clamp(min=0.0)
    total = left.sum()
    # Where p = q nothing is ever rejected, save by a rounding error in p / q; then p itself is right.
    return left / total if total > 0 else p


def proposal_law(
    tree: TokenTree, laws: Float64[Tensor, "nodes vocab"] | None, node: int, like: Float64[Tensor, " vocab"]
) -> Float64[Tensor, " vocab"]:
    """The distribution that a node was drawn from: one-hot, shaped as `like`, where nothing was drawn."""
    if laws is not None:
        return laws[node]
    row = torch.zeros_like(like)
    row[tree.tokens[node]] = 1.0
    return row
