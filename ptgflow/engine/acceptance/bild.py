"""BiLD: keep the small model's token unless the large one finds it far too unlikely."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Bool, Float64
from torch import Tensor

from ptgflow.contracts.guarantee import Level
from ptgflow.engine.acceptance.rule import AcceptanceRule, TargetLaw
from ptgflow.engine.acceptance.tolerance import longest_path
from ptgflow.engine.acceptance.walking import Judged
from ptgflow.engine.randomness import Purpose, Uniforms
from ptgflow.engine.sampling import draw
from ptgflow.engine.trees import TokenTree


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Bild(AcceptanceRule):
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

    def judge(
        self,
        target: TargetLaw,
        tree: TokenTree,
        laws: Float64[Tensor, "nodes vocab"] | None,
        start: int,
        uniforms: Uniforms,
    ) -> Judged:
        del laws  # What is likely enough under the target is kept, however it came.
        path = longest_path(tree, target, self._tolerated)
        token = draw(target(path[-1] + 1 if path else 0), uniforms(start + len(path), Purpose.DRAW))
        return Judged(path=path, token=token)

    def judge_greedily(self, target: TargetLaw, tree: TokenTree) -> Judged:
        path = longest_path(tree, target, self._tolerated)
        return Judged(path=path, token=int(target(path[-1] + 1 if path else 0).argmax()))

    def _tolerated(self, law: Float64[Tensor, " vocab"]) -> Bool[Tensor, " vocab"]:
        return -law.log() <= self.rollback
