"""ReMDM: what was written before is opened again by chance, as far as the schedule of masking allows."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.remdm_schedule import ReMdmSchedule
from ptgflow.engine.canvas.rules import Settled
from ptgflow.engine.canvas.selectors.certainty import uniform


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReMdm(Memoryless, ReMdmSchedule):
    """What was written before this round is opened again with probability sigma (see `ReMdmSchedule`).

    In the last of `steps` rounds sigma is 0, and stays so: this is the bound. Of the published sampler this is the half
    that opens; the half that fills is the selector of the same name. With another selector what is opened again is not
    made up for. Where a round leaves no hole the block ends, though the schedule would open some later.
    """

    name: ClassVar[str] = "remdm"
    doubts: ClassVar[bool] = False

    def reopen(self, settled: Settled) -> Bool[Tensor, " settled"]:
        chances = uniform(len(settled.positions), settled.written, settled.generator)
        return (chances < self._shares(settled) * self.sigma(settled.round)) & ~settled.fresh

    def _shares(self, settled: Settled) -> Float64[Tensor, " settled"]:
        """What the probability at each place is multiplied with."""
        written = settled.written.double()
        if self.mode != "conf":
            return torch.ones_like(written)
        # A fresh place was a hole before, whose confidence counts as infinite.
        return torch.where(settled.fresh, -torch.inf, -written.exp()).softmax(dim=0).nan_to_num()
