"""Tolerant verification: keep what is among the likeliest few and not much less likely than the best."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Bool, Float64
from torch import Tensor

from ptgflow.contracts.guarantee import Level
from ptgflow.engine.acceptance.tolerance import Tolerant


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TopK(Tolerant):
    """Keep x among the k likeliest tokens whose log-probability is at most `gap` below the best. Lossy throughout.

    Xia et al., "SpecDec", arXiv 2203.16487, section 3.2, where k is called beta and the gap tau. The longest path that
    is kept wins. The token after it is the target's likeliest at temperature 0, as in SpecDec, and drawn from the
    target above.
    """

    name: ClassVar[str] = "top_k"
    sampled: ClassVar[Level] = "none"
    tolerant_when_greedy: ClassVar[bool] = True

    k: int = 3
    """Tokens that are as likely as the k-th count as among the k likeliest."""
    gap: float = 1.0
    """In nats; infinite: all of the k likeliest that can come at all."""

    def __post_init__(self) -> None:
        assert self.k >= 1, "at least the likeliest token is kept"
        assert self.gap >= 0.0, "a proposal is not likelier than the likeliest token"

    def tolerated(self, law: Float64[Tensor, " vocab"]) -> Bool[Tensor, " vocab"]:
        likeliest = law.topk(min(self.k, law.shape[0])).values
        near = law.log() >= likeliest[0].log() - self.gap
        return (law >= likeliest[-1]) & near & (law > 0.0)
