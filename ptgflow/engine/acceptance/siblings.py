"""Draw siblings for a tree of proposals, each different from those before it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from ptgflow.engine.sampling import draw


def without_replacement(
    law: Float64[Tensor, " vocab"], chances: Sequence[float]
) -> tuple[tuple[int, ...], Float64[Tensor, "siblings vocab"]]:
    """Draw a token for each of `chances`, and each from what the earlier ones left of `law`, normalised.

    Jeon et al., arXiv 2402.14160; Chen et al., "Sequoia", arXiv 2402.12374: the drafts for recursive
    rejection sampling, which is what `Speculative` does with siblings.

    Args:
        law: the draft model's distribution.
        chances: independent numbers in [0, 1). They must be new in each round, so those of a round are asked for at its
            first position, one attempt a node: a rule may have looked at drafts that it did not keep, and a number that
            is used again would know of it.

    Returns:
        The tokens in the order in which they were drawn, and the distribution that each was drawn from. They are fewer
        than `chances` where `law` gives weight to fewer tokens.
    """
    left = law.clone()
    tokens: list[int] = []
    laws: list[Tensor] = []
    for chance in chances:
        total = left.sum()
        if total <= 0:
            break
        laws.append(left / total)
        tokens.append(draw(laws[-1], chance))
        left[tokens[-1]] = 0.0
    return tuple(tokens), torch.stack(laws) if laws else law.new_empty(0, law.shape[0])
