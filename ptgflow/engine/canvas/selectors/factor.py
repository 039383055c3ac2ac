"""Factor: the more holes are filled at once, the surer the model has to be of each."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.rules import Sight
from ptgflow.engine.canvas.selectors.certainty import confidence, surest


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Factor(Memoryless):
    """Fill the n surest holes, for the largest n with (n + 1) (1 - c_n) < `factor`; at least one.

    c_n is the n-th highest confidence. Wu et al., "Fast-dLLM", arXiv 2505.22618, section 3.3; survey, Eq. 12. As the
    left side grows with n, what holds for n holds for all before it. With a factor near 0 a round fills one hole, and
    any others whose token is certain: the text then has the model's law.
    """

    name: ClassVar[str] = "factor"
    lawful: ClassVar[bool] = True

    factor: float = 1.0

    def __post_init__(self) -> None:
        assert self.factor > 0.0, "a factor is above 0"

    def select(self, sight: Sight) -> Bool[Tensor, " holes"]:
        sure = confidence(sight.law)
        ranked = sure.sort(descending=True).values
        rank = torch.arange(1, len(ranked) + 1, device=ranked.device)
        count = int(((rank + 1) * (1.0 - ranked) < self.factor).sum())
        return surest(sure, max(count, 1))
