"""P2: of all that could stand in the block, keep the likeliest, more of it each round."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.remasking.weakest import weakest
from ptgflow.engine.canvas.rules import Settled
from ptgflow.engine.canvas.schedules import Schedule, masked_count


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class P2(Memoryless):
    """Self-planning: the lowest log-probabilities become holes, as many as the schedule leaves.

    Peng et al., "Path planning", arXiv 2502.03540, with the denoiser as its own planner; survey, Eq. 17. The i-th of
    `steps` rounds leaves floor(N (1 - kappa)) holes of N places, kappa = i / steps, or 1 - cos(pi i / (2 steps)). What
    stood before the round is scored anew, by what the model says of it now, times `eta`: above 1 it is opened again
    sooner, and with 0 last of all. It is made for the selector `everything`, together with which it is the published
    sampler; holes that another selector leaves count among the lowest.

    The last step leaves no hole: this is the bound. What is kept depends on what was drawn, so the law of the text is
    not that of the model, exact as this may be.
    """

    name: ClassVar[str] = "p2"
    doubts: ClassVar[bool] = False

    steps: int = 16
    eta: float = 1.0
    schedule: Schedule = "linear"

    def __post_init__(self) -> None:
        assert self.steps >= 1, "there is at least one step"
        assert self.eta >= 0.0, "eta is not below 0"

    def reopen(self, settled: Settled) -> Bool[Tensor, " settled"]:
        places = len(settled.positions) + settled.holes
        count = masked_count(self.schedule, places, settled.round + 1, self.steps) - settled.holes
        # Clamped, as 0 times minus infinity is not a number.
        again = settled.now.clamp(min=torch.finfo(settled.now.dtype).min) * self.eta
        return weakest(torch.where(settled.fresh, settled.written, again), count)
