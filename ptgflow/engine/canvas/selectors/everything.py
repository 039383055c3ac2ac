"""Everything: fill all holes at once."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.rules import Sight


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Everything(Memoryless):
    """Fill every hole: one round alone is one-shot generation, as if holes were independent (survey, Eq. 7).

    It is what `mask_predict` and `p2` are built on, which open again what is least likely. It never fills one token a
    round but where there is only one hole, so it promises nothing of the text.
    """

    name: ClassVar[str] = "everything"
    lawful: ClassVar[bool] = False

    def select(self, sight: Sight) -> Bool[Tensor, " holes"]:
        return torch.ones(len(sight.positions), dtype=torch.bool, device=sight.law.device)
