"""No re-masking: what is written stays."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.rules import Settled


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing(Memoryless):
    """Opens nothing again: a block ends when its last hole is filled."""

    name: ClassVar[str] = "none"
    doubts: ClassVar[bool] = False

    def reopen(self, settled: Settled) -> Bool[Tensor, " settled"]:
        return torch.zeros(len(settled.positions), dtype=torch.bool, device=settled.written.device)
