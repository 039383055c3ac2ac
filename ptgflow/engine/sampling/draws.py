"""From a distribution and a uniform number to a token: the inverse of the cumulative distribution function."""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from jaxtyping import Bool, Float64, Int
from torch import Tensor

from ptgflow.engine.sampling.blocks import WIDE, inside, reduced

MARGIN: Final = 1e-9
"""How near to an edge, as a share of the whole, a number is left to be judged by the definition. Sums of a million
weights in double precision, taken in whatever order, differ by less."""


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


def draw_each(weights: Float64[Tensor, "rows vocab"], chances: Sequence[float]) -> list[int]:
    """`draw` for each line at once."""
    return draw_in_blocks(
        block_sums(weights),
        lambda block: inside(weights, block, WIDE, 0.0),
        chances,
        law=lambda row: weights[row],
    )


def block_sums(weights: Float64[Tensor, "rows vocab"]) -> Float64[Tensor, "rows blocks"]:
    """The weight of each block, as `draw_in_blocks` reads it."""
    return reduced(weights, WIDE, lambda part: part.sum(dim=-1))


def draw_in_blocks(
    sums: Float64[Tensor, "rows blocks"],
    within: Callable[[Tensor], tuple[Tensor, Tensor]],
    chances: Sequence[float],
    *,
    law: Callable[[int], Tensor],
) -> list[int]:
    """`draw` for each line: first the block, then the token in it; by the definition where rounding might decide.

    Args:
        sums: the weight of each block.
        within: for one block of each line, the weights in it and the tokens that they are of.
        chances: a number in [0, 1) for each line.
        law: all weights of a line.
    """
    total = sums.cumsum(dim=-1)[:, -1]
    target = total * torch.tensor(chances, dtype=torch.float64, device=sums.device)
    block, before, _ = _step(sums, target, torch.zeros_like(total))
    found, at = within(block[:, None])
    index, low, high = _step(found, target, before)
    sure = (target - low > MARGIN * total) & (high - target > MARGIN * total)
    tokens = at.gather(-1, index[:, None])[:, 0]
    return [
        token if certain else draw(law(row), chances[row])
        for row, (token, certain) in enumerate(zip(tokens.tolist(), sure.tolist(), strict=True))
    ]


def _step(
    weights: Float64[Tensor, "rows entries"], target: Float64[Tensor, " rows"], before: Float64[Tensor, " rows"]
) -> tuple[Int[Tensor, " rows"], Float64[Tensor, " rows"], Float64[Tensor, " rows"]]:
    """The entry in whose interval `target` lies, and the interval; `before` is the weight in front of all entries."""
    cumulative = weights.cumsum(dim=-1) + before[:, None]
    passed: Bool[Tensor, "rows entries"] = cumulative <= target[:, None]
    index = passed.sum(dim=-1).clamp(max=weights.shape[-1] - 1)
    high = cumulative.gather(-1, index[:, None])[:, 0]
    return index, high - weights.gather(-1, index[:, None])[:, 0], high
