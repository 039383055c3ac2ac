"""ReMDM, the half that fills: each hole by chance, more of them to make up for what is opened again."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.remdm_schedule import ReMdmSchedule
from ptgflow.engine.canvas.rules import Sight
from ptgflow.engine.canvas.selectors.certainty import uniform


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReMdmFill(Memoryless, ReMdmSchedule):
    """Each hole is filled by itself with the probability that `ReMdmSchedule.reveal` says; the last step fills all.

    Together with the re-masker of the same name and schedule it is the published sampler. As of `tau_leaping`, which it
    is where nothing is opened again, nothing is promised of any number of steps.
    """

    name: ClassVar[str] = "remdm"
    lawful: ClassVar[bool] = False

    def select(self, sight: Sight) -> Bool[Tensor, " holes"]:
        return uniform(len(sight.positions), sight.law, sight.generator) < self.reveal(sight.round)
