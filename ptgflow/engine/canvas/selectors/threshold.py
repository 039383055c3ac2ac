"""Threshold: fill every hole that the model is sure enough of."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.rules import Sight
from ptgflow.engine.canvas.selectors.certainty import confidence, surest


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(Memoryless):
    """Fill where the likeliest token has at least the probability `tau`, and one hole in any case.

    Wu et al., "Fast-dLLM", arXiv 2505.22618, section 3.3; survey, Eq. 11. With `tau` 1 a round fills one hole, and any
    others whose token is certain: the text then has the model's law.

    The one hole is the surest, as published, or the leftmost. With shifted logits that one is predicted by the text
    before it, which for an adapted autoregressive model is what it predicts best.
    """

    name: ClassVar[str] = "threshold"
    lawful: ClassVar[bool] = True

    tau: float = 0.9
    progress: Literal["surest", "leftmost"] = "surest"
    """Which hole is filled in any case."""

    def __post_init__(self) -> None:
        assert 0.0 < self.tau <= 1.0, "a threshold is a probability above 0"

    def select(self, sight: Sight) -> Bool[Tensor, " holes"]:
        sure = confidence(sight.law)
        if self.progress == "leftmost":
            return (sure >= self.tau) | (torch.arange(len(sure), device=sure.device) == 0)
        return (sure >= self.tau) | surest(sure, 1)
