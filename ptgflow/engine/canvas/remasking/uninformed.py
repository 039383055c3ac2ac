"""The uninformed corrector: whatever is written is opened again by chance."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.rules import Settled
from ptgflow.engine.canvas.selectors.certainty import uniform


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Uninformed(Memoryless):
    """In each of the first `rounds` rounds of a block each place is opened again with `probability`, fresh or not.

    The predictor-corrector of Campbell et al., arXiv 2205.14987, section 4.4, for masked text; survey, section 4.2.3.4.
    Afterwards nothing is opened: this is the bound. The choice reads nothing, so that together with a selector that
    fills one token in a random order (`topk` with `random`) the text has the law of an exact model.
    """

    name: ClassVar[str] = "uninformed"
    doubts: ClassVar[bool] = False

    probability: float = 0.1
    rounds: int = 16

    def __post_init__(self) -> None:
        assert 0.0 <= self.probability <= 1.0, "a probability"
        assert self.rounds >= 0, "rounds are counted"

    def reopen(self, settled: Settled) -> Bool[Tensor, " settled"]:
        chances = uniform(len(settled.positions), settled.written, settled.generator)
        return chances < (self.probability if settled.round < self.rounds else 0.0)
