"""Typical acceptance: keep what is not surprising, the less so the more sure the target is."""

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from ptgflow.contracts.guarantee import Level
from ptgflow.engine.acceptance.tolerance import Tolerant


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Typical(Tolerant):
    """Keep x where p(x) > min(threshold, alpha exp(-H(p))), with H the entropy in nats. Lossy at temperature > 0.

    Cai et al., "Medusa", arXiv 2401.10774, section 2.3.1; the defaults are those of its published code. The longest
    path that is kept wins, and the token after it is drawn from the target.

    Medusa always keeps the first token of its tree, which is the target's own likeliest one, so that each round writes
    something. Here the tree holds only what follows the target's own token, which the round before wrote after its
    path: so nothing is kept unseen, and the target's token after the path is what each round writes at least.
    """

    name: ClassVar[str] = "typical"
    sampled: ClassVar[Level] = "none"

    threshold: float = 0.09
    """A proposal that is likelier than this is kept whatever the entropy."""
    alpha: float = 0.3
    """Below 1 the likeliest token is always kept, for its probability is at least exp(-H)."""

    def __post_init__(self) -> None:
        assert 0.0 < self.threshold <= 1.0, "a threshold is a probability above 0"
        assert 0.0 < self.alpha <= 1.0, "alpha is above 0 and at most 1"

    def tolerated(self, law: Float64[Tensor, " vocab"]) -> Bool[Tensor, " vocab"]:
        entropy = float(torch.special.entr(law).sum())
        return law > min(self.threshold, self.alpha * math.exp(-entropy))
