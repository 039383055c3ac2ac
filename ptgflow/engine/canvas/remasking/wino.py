"""WINO, the narrow half: what looks weak beside what was written since is opened again."""

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.remasking.weakest import weakest
from ptgflow.engine.canvas.rules import Settled


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WinoBack(Memoryless):
    """Opens again what was written before with a probability below `threshold_back` now, the weakest first.

    Hong et al., "Wide-In, Narrow-Out", arXiv 2507.18578. Of n tokens that are written in a round at most n - 1 may be
    opened again, so that each round leaves fewer holes: this is the bound. (The published code compares with the round
    before, which bounds nothing where a round writes less than the last one.) The probability is that of a place that
    sees all the others and not itself: a model that sees the token rates it too high.
    """

    name: ClassVar[str] = "wino"
    doubts: ClassVar[bool] = True

    threshold_back: float = 0.9

    def __post_init__(self) -> None:
        assert 0.0 <= self.threshold_back <= 1.0, "a threshold is a probability"

    def reopen(self, settled: Settled) -> Bool[Tensor, " settled"]:
        floor = math.log(self.threshold_back) if self.threshold_back > 0.0 else -math.inf
        weak = (settled.now < floor) & ~settled.fresh
        most = max(int(settled.fresh.sum()) - 1, 0)
        return weak & weakest(torch.where(weak, settled.now, torch.inf), most)
