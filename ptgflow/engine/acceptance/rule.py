"""What a rule of acceptance is: what it reads, what it answers, and what it promises."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float64
from torch import Tensor

from ptgflow.contracts.guarantee import Level
from ptgflow.engine.acceptance.walking import Judged, descend
from ptgflow.engine.randomness import Uniforms
from ptgflow.engine.trees import TokenTree

TargetLaw = Callable[[int], Float64[Tensor, " vocab"]]
"""The target's distributions: 0 asks for the one after the text, node + 1 for the one after that node. A rule asks only
for what it needs, so that what no path leads to is never computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceRule(ABC):
    """A rule; its fields are its parameters.

    A rule asks only for numbers of positions that it writes in this very round. The next round then has numbers that
    nothing has looked at yet, without which the whole text would not have the law that each round by itself gives.
    """

    name: ClassVar[str]
    sampled: ClassVar[Level]
    """What is promised of the text at temperature > 0."""
    chains_only: ClassVar[bool] = False
    """Whether it judges chains only, and no trees that branch."""
    draws_ahead: ClassVar[bool] = False
    """Whether it is a walk beside the target's own draws, which may then be made for all nodes at once."""
    same_text_as_sampling: ClassVar[bool] = False
    """Whether a seed gives the very text that plain autoregressive sampling gives with it, whatever is proposed."""
    tolerant_when_greedy: ClassVar[bool] = False
    """Whether at temperature 0 it keeps more than the target's likeliest tokens, so that it needs `judge_greedily`."""

    def guarantee(self, temperature: float) -> Level:
        """What is promised of the text in relation to the target."""
        if temperature > 0:
            return self.sampled
        return "none" if self.tolerant_when_greedy else "exact"

    @abstractmethod
    def judge(
        self,
        target: TargetLaw,
        tree: TokenTree,
        laws: Float64[Tensor, "nodes vocab"] | None,
        start: int,
        uniforms: Uniforms,
    ) -> Judged:
        """Judge proposals at temperature > 0.

        Args:
            target: the distributions that are sampled, after temperature and filters.
            tree: the proposals.
            laws: row i is the distribution that node i was drawn from, given the siblings drawn before it. None: the
                drafter drew nothing, so each node is proposed for certain and its row would be one-hot.
            start: the position in the answer of what follows the text; a node of depth d is at start + d.
            uniforms: the row's source of numbers.
        """

    def judge_greedily(self, target: TargetLaw, tree: TokenTree) -> Judged:
        """Judge proposals at temperature 0, by the target's plain softmax: here, keep what is its likeliest token."""
        return descend(tree, lambda at: int(target(at).argmax()))
