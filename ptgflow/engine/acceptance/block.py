"""Block verification: a chain is judged as a whole."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float64
from torch import Tensor

from ptgflow.contracts.guarantee import Level
from ptgflow.engine.acceptance.residual import proposal_law, residual_distribution
from ptgflow.engine.acceptance.rule import AcceptanceRule, TargetLaw
from ptgflow.engine.acceptance.walking import Judged
from ptgflow.engine.randomness import Purpose, Uniforms
from ptgflow.engine.sampling import draw
from ptgflow.engine.trees import TokenTree


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Block(AcceptanceRule):
    """Keep the longest beginning of a chain that is accepted as a whole, even where a shorter one is not.

    Sun et al., arXiv 2403.10444, algorithm 2. With w[0] = 1 and w[i] = min(1, w[i-1] p(x[i]) / q(x[i])) the first i
    proposals are accepted with probability

        h[i] = s / (s + 1 - w[i]),  where s is the sum of max(w[i] p - q, 0) over what may follow them,

    and with w[i] itself where nothing more was proposed. The token after the longest accepted beginning is drawn from
    norm(max(w[i] p - q, 0)), and from p after the whole chain. The text has the law of sampling the target, and on
    average at least as much of a chain is kept as `Speculative` keeps.
    """

    name: ClassVar[str] = "block"
    sampled: ClassVar[Level] = "distribution"
    chains_only: ClassVar[bool] = True

    def judge(
        self,
        target: TargetLaw,
        tree: TokenTree,
        laws: Float64[Tensor, "nodes vocab"] | None,
        start: int,
        uniforms: Uniforms,
    ) -> Judged:
        assert tree.is_chain, "block verification judges chains"
        count = _drawn(tree, laws)
        weight = 1.0
        kept, kept_weight = 0, weight
        for node in range(count):
            p = target(node)
            token, q = tree.tokens[node], proposal_law(tree, laws, node, p)
            weight = min(1.0, weight * float(p[token] / q[token]))
            chance = weight
            if node + 1 < count:
                after = target(node + 1)
                left = float((weight * after - proposal_law(tree, laws, node + 1, after)).clamp(min=0.0).sum())
                # Where the next p and q are the same it does not matter: with w[i] = 1 the longer one is accepted.
                chance = left / (left + 1.0 - weight) if left > 0 else 0.0
            # All numbers are of the first position: a later round asks for those of positions that are not kept, and
            # would know from what was seen here that they were too high.
            if uniforms(start, Purpose.ACCEPT, node) < chance:
                kept, kept_weight = node + 1, weight
        p = target(kept)
        if kept == count:
            return Judged(path=tuple(range(kept)), token=draw(p, uniforms(start + kept, Purpose.DRAW)))
        residual = residual_distribution(kept_weight * p, proposal_law(tree, laws, kept, p))
        return Judged(path=tuple(range(kept)), token=draw(residual, uniforms(start + kept, Purpose.RESIDUAL)))


def _drawn(tree: TokenTree, laws: Float64[Tensor, "nodes vocab"] | None) -> int:
    """How many leading nodes their laws allow for; how the next one came is not known, so the chain ends there."""
    if laws is None:
        return len(tree)
    return next((node for node, token in enumerate(tree.tokens) if laws[node, token] <= 0), len(tree))
