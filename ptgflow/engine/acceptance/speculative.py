"""Speculative sampling, on chains and on trees."""

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
class Speculative(AcceptanceRule):
    """Keep x with probability min(1, p(x) / q(x)), else go on with norm(max(p - q, 0)) in the place of p.

    On a chain: Leviathan et al., arXiv 2211.17192, algorithm 1 and appendix A.1; Chen et al., arXiv 2302.01318,
    algorithm 2 and theorem 1. On a tree the siblings are tried one after the other, each against what the earlier ones
    left of p. With siblings drawn independently this is multi-step speculative sampling (Miao et al., "SpecInfer",
    arXiv 2305.09781, algorithm 2 and theorem 4.2), with siblings drawn without replacement recursive rejection sampling
    (Jeon et al., arXiv 2402.14160; Chen et al., "Sequoia", arXiv 2402.12374).

    The text has the law of sampling the target, for any q: each step keeps the law, whatever the next one's p and q.
    """

    name: ClassVar[str] = "speculative"
    sampled: ClassVar[Level] = "distribution"

    def judge(
        self,
        target: TargetLaw,
        tree: TokenTree,
        laws: Float64[Tensor, "nodes vocab"] | None,
        start: int,
        uniforms: Uniforms,
    ) -> Judged:
        children = tree.children
        path: list[int] = []
        at = 0
        while children[at]:
            position = start + len(path)
            p, kept = target(at), None
            for attempt, node in enumerate(children[at]):
                token, q = tree.tokens[node], proposal_law(tree, laws, node, p)
                if q[token] <= 0:
                    # It was not drawn from its law, so that nothing is known of how it came: as if never proposed.
                    continue
                if uniforms(position, Purpose.ACCEPT, attempt) < float(p[token] / q[token]):
                    kept = node
                    break
                p = residual_distribution(p, q)
            if kept is None:
                return Judged(path=tuple(path), token=draw(p, uniforms(position, Purpose.RESIDUAL)))
            path.append(kept)
            at = kept + 1
        bonus = draw(target(at), uniforms(start + len(path), Purpose.DRAW))
        return Judged(path=tuple(path), token=bonus)
