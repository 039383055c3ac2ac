"""Top-k: a fixed number of holes a round, the surest by one of several scores."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Bool, Float64
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.rules import Sight
from ptgflow.engine.canvas.selectors.certainty import Score, confidence, entropies, margin, surest, uniform


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TopK(Memoryless):
    """Fill the `k` holes with the highest score, or all where there are fewer.

    The scores: `probability` of the likeliest token (survey, Eq. 13), its `margin` over the second (Kim et al., arXiv
    2502.06768, section 4; Eq. 14), the `entropy`, of which less is better (Eq. 15), and `random`. With `k` 1 the text
    has the model's law.
    """

    name: ClassVar[str] = "topk"
    lawful: ClassVar[bool] = True

    k: int = 1
    score: Score = "probability"

    def __post_init__(self) -> None:
        assert self.k >= 1, "a round fills at least one hole"

    def select(self, sight: Sight) -> Bool[Tensor, " holes"]:
        return surest(self._scores(sight), self.k)

    def _scores(self, sight: Sight) -> Float64[Tensor, " holes"]:
        match self.score:
            case "probability":
                return confidence(sight.law)
            case "margin":
                return margin(sight.law)
            case "entropy":
                return -entropies(sight.law)
            case "random":
                return uniform(len(sight.positions), sight.law, sight.generator)
