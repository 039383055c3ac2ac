"""Entropy bound: as many holes as a budget of uncertainty allows."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.rules import Sight
from ptgflow.engine.canvas.selectors.certainty import descending, entropies, surest


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EntropyBound(Memoryless):
    """Fill the surest holes while the entropies of all but the last add up to less than `gamma`; at least one.

    Ben-Hamu et al., "EB-Sampler", arXiv 2505.24857; survey, Eq. 16: H(S) - max H(y_i) < gamma. The joint entropy H(S),
    which no model tells, is replaced by its upper bound, the sum over the holes; sorted by entropy, the last one is the
    largest. With `gamma` near 0 a round fills one hole, and any others whose token is certain: the text then has the
    model's law.
    """

    name: ClassVar[str] = "entropy_bound"
    lawful: ClassVar[bool] = True

    gamma: float = 0.15
    """In nats."""

    def __post_init__(self) -> None:
        assert self.gamma > 0.0, "a budget is above 0"

    def select(self, sight: Sight) -> Bool[Tensor, " holes"]:
        entropy = entropies(sight.law)
        spent = entropy[descending(-entropy)].cumsum(dim=0)
        # The first hole spends nothing; each other one what those before it spend.
        return surest(-entropy, 1 + int((spent[:-1] < self.gamma).sum()))
