"""BiLD: keep the small model's token unless the large one finds it far too unlikely."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Bool, Float64
from torch import Tensor

from ptgflow.contracts.guarantee import Level
from ptgflow.engine.acceptance.tolerance import Tolerant


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Bild(Tolerant):
    """Keep x where -log p(x) is at most the rollback threshold, and write the target's token behind it.

    Kim et al., "Speculative decoding with big little decoder", arXiv 2302.07863, section 3.3; the distance of its
    published code is the target's cross-entropy of the small model's token. Its fallback threshold, below which the
    small model hands over, is where drafts end (`length=confidence`). Lossy.
    """

    name: ClassVar[str] = "bild"
    sampled: ClassVar[Level] = "none"
    tolerant_when_greedy: ClassVar[bool] = True

    rollback: float = 2.0
    """In nats."""

    def __post_init__(self) -> None:
        assert self.rollback >= 0.0, "no token is more certain than certain"

    def tolerated(self, law: Float64[Tensor, " vocab"]) -> Bool[Tensor, " vocab"]:
        return -law.log() <= self.rollback
