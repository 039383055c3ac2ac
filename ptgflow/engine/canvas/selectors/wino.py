"""WINO, the wide half: fill eagerly, as the re-masker of the same name opens again what turns out weak."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.rules import Sight
from ptgflow.engine.canvas.selectors.certainty import confidence, surest


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Wino(Memoryless):
    """Fill where the confidence exceeds `threshold`, at most min(max(0.7 n, 5), 20) of n holes, but at least one.

    Hong et al., "Wide-In, Narrow-Out", arXiv 2507.18578; the limits are those of its published code. With `threshold` 1
    a round fills one hole, and the text has the model's law, if nothing is opened again.
    """

    name: ClassVar[str] = "wino"
    lawful: ClassVar[bool] = True

    threshold: float = 0.6

    def __post_init__(self) -> None:
        assert 0.0 <= self.threshold <= 1.0, "a threshold is a probability"

    def select(self, sight: Sight) -> Bool[Tensor, " holes"]:
        sure = confidence(sight.law)
        most = min(max(len(sure) * 7 // 10, 5), 20)
        return surest(sure, max(min(int((sure > self.threshold).sum()), most), 1))
