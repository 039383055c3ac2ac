"""Keep every proposal: what multiple token prediction does where nobody judges it."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float64
from torch import Tensor

from ptgflow.contracts.guarantee import Level
from ptgflow.engine.acceptance.rule import AcceptanceRule, TargetLaw
from ptgflow.engine.acceptance.walking import Judged
from ptgflow.engine.randomness import Purpose, Uniforms
from ptgflow.engine.sampling import draw
from ptgflow.engine.trees import TokenTree


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Unverified(AcceptanceRule):
    """Keep the whole chain, whatever the target says of it, and then the target's own token. Promises nothing.

    The target reads a chain in the pass in which it writes the token behind it (survey, section 3.3: k tokens a step).
    """

    name: ClassVar[str] = "unverified"
    sampled: ClassVar[Level] = "none"
    chains_only: ClassVar[bool] = True
    tolerant_when_greedy: ClassVar[bool] = True

    def judge(
        self,
        target: TargetLaw,
        tree: TokenTree,
        laws: Float64[Tensor, "nodes vocab"] | None,
        start: int,
        uniforms: Uniforms,
    ) -> Judged:
        del laws  # However a proposal came, it stays.
        token = draw(target(len(tree)), uniforms(start + len(tree), Purpose.DRAW))
        return Judged(path=tuple(range(len(tree))), token=token)

    def judge_greedily(self, target: TargetLaw, tree: TokenTree) -> Judged:
        return Judged(path=tuple(range(len(tree))), token=int(target(len(tree)).argmax()))
