"""Keep what the target would have drawn anyway."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float64
from torch import Tensor

from ptgflow.contracts.guarantee import Level
from ptgflow.engine.acceptance.rule import AcceptanceRule, TargetLaw
from ptgflow.engine.acceptance.walking import Judged, descend
from ptgflow.engine.randomness import Purpose, Uniforms
from ptgflow.engine.sampling import draw
from ptgflow.engine.trees import TokenTree


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Match(AcceptanceRule):
    """Draw the target's token at each position by that position's number, and keep proposals while they equal it.

    The text is that of plain sampling with the same numbers: what was proposed decides only how soon it is known.
    """

    name: ClassVar[str] = "match"
    sampled: ClassVar[Level] = "distribution"
    draws_ahead: ClassVar[bool] = True
    same_text_as_sampling: ClassVar[bool] = True

    def judge(
        self,
        target: TargetLaw,
        tree: TokenTree,
        laws: Float64[Tensor, "nodes vocab"] | None,
        start: int,
        uniforms: Uniforms,
    ) -> Judged:
        del laws  # The rule holds for any draft, so where it came from does not matter.
        depths = (-1, *tree.depths)
        return descend(tree, lambda at: draw(target(at), uniforms(start + depths[at] + 1, Purpose.DRAW)))
