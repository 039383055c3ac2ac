"""Tau-leaping: each hole is filled by chance, whatever it is."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.rules import Sight
from ptgflow.engine.canvas.schedules import Schedule, masked_share
from ptgflow.engine.canvas.selectors.certainty import uniform


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TauLeaping(Memoryless):
    """From time t to s each hole is filled by itself with probability (t - s) / t; the last step fills all.

    Survey, Eq. 9; Lou et al., arXiv 2310.16834, section 4.2. Time is the share that is masked: with the linear
    schedule 1 - r after the r-th part of the steps, with the cosine one cos(pi r / 2). A step may fill nothing.

    What is filled does not depend on what was drawn, so the text would have the model's law if no step filled two
    holes; but no number of steps assures that, so nothing is promised: the error falls as one over their number.
    """

    name: ClassVar[str] = "tau_leaping"
    lawful: ClassVar[bool] = False

    steps: int = 16
    schedule: Schedule = "linear"

    def __post_init__(self) -> None:
        assert self.steps >= 1, "there is at least one step"

    def select(self, sight: Sight) -> Bool[Tensor, " holes"]:
        holes = len(sight.positions)
        if sight.round >= self.steps - 1:
            return torch.ones(holes, dtype=torch.bool, device=sight.law.device)
        now = masked_share(self.schedule, sight.round, self.steps)
        then = masked_share(self.schedule, sight.round + 1, self.steps)
        return uniform(holes, sight.law, sight.generator) < (now - then) / now
