"""Mask-predict: a fixed number of rounds, each of which opens fewer of the least likely tokens."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.remasking.weakest import weakest
from ptgflow.engine.canvas.rules import Settled
from ptgflow.engine.canvas.schedules import masked_count


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MaskPredict(Memoryless):
    """After the t-th of T `iterations` the floor(N (T - t) / T) tokens that were least likely when written are opened.

    Ghazvininejad et al., "Mask-Predict", arXiv 1904.09324, section 3. It is made for the selector `everything`; holes
    that another one leaves count among the least likely. The last iteration opens nothing: this is the bound. What is
    kept depends on what was drawn, so the law of the text is not that of the model, exact as this may be.
    """

    name: ClassVar[str] = "mask_predict"
    doubts: ClassVar[bool] = False

    iterations: int = 10

    def __post_init__(self) -> None:
        assert self.iterations >= 1, "there is at least one iteration"

    def reopen(self, settled: Settled) -> Bool[Tensor, " settled"]:
        places = len(settled.positions) + settled.holes
        count = masked_count("linear", places, settled.round + 1, self.iterations)
        return weakest(settled.written, count - settled.holes)
