"""The weakest of what is written."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def weakest(scores: Float[Tensor, " settled"], count: int) -> Bool[Tensor, " settled"]:
    """Those with the `count` lowest scores; of equal ones the first places. All of them, if there are no more."""
    chosen = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    chosen[scores.sort(stable=True).indices[: max(count, 0)]] = True
    return chosen
