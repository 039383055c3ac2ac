"""The longest path of a tree on which every token is tolerated: how lossy rules judge."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool, Float64
from torch import Tensor

from ptgflow.engine.acceptance.rule import AcceptanceRule, TargetLaw
from ptgflow.engine.acceptance.walking import Judged
from ptgflow.engine.randomness import Purpose, Uniforms
from ptgflow.engine.sampling import draw
from ptgflow.engine.trees import TokenTree

Tolerated = Callable[[Float64[Tensor, " vocab"]], Bool[Tensor, " vocab"]]
"""From the target's distribution at a place to the tokens that are kept there."""


def longest_path(tree: TokenTree, target: TargetLaw, tolerated: Tolerated) -> tuple[int, ...]:
    """The nodes of the longest path from the text downwards on which each token is tolerated after those before it.

    Of paths that are equally long the one that was proposed first is taken: where they part, the earlier sibling.
    """
    children = tree.children
    # One level after the other, each in the order of proposal, so that the first of a level is the first proposed.
    level: tuple[int, ...] = (-1,)
    deepest = -1
    while level:
        deepest = level[0]
        level = tuple(node for parent in level for node in _kept(tree, children[parent + 1], target, tolerated))
    return tree.path(deepest)


def _kept(tree: TokenTree, siblings: tuple[int, ...], target: TargetLaw, tolerated: Tolerated) -> tuple[int, ...]:
    if not siblings:
        return ()
    kept = tolerated(target(tree.parents[siblings[0]] + 1))
    return tuple(node for node in siblings if kept[tree.tokens[node]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerant(AcceptanceRule):
    """Keeps the longest path on which every token is tolerated, however it came, and draws the token after it."""

    @abstractmethod
    def tolerated(self, law: Float64[Tensor, " vocab"]) -> Bool[Tensor, " vocab"]:
        """From the target's distribution at a place to the tokens that are kept there."""

    def judge(
        self,
        target: TargetLaw,
        tree: TokenTree,
        laws: Float64[Tensor, "nodes vocab"] | None,
        start: int,
        uniforms: Uniforms,
    ) -> Judged:
        del laws
        path = longest_path(tree, target, self.tolerated)
        token = draw(target(path[-1] + 1 if path else 0), uniforms(start + len(path), Purpose.DRAW))
        return Judged(path=path, token=token)

    def judge_greedily(self, target: TargetLaw, tree: TokenTree) -> Judged:
        if not self.tolerant_when_greedy:
            return AcceptanceRule.judge_greedily(self, target, tree)
        path = longest_path(tree, target, self.tolerated)
        return Judged(path=path, token=int(target(path[-1] + 1 if path else 0).argmax()))
