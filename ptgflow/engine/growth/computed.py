"""Which nodes of a tree that grows level by level a drafter has computed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import final

from ptgflow.engine.trees import TokenTree


@final
@dataclass(slots=True)
class ComputedNodes:
    """The nodes whose candidates were wanted, in the order in which they were: most nodes of a tree are leaves.

    With each of them the nodes above it are computed, so these are a tree of their own, to which each level adds.
    """

    tokens: list[int] = field(default_factory=list[int])
    parents: list[int] = field(default_factory=list[int])
    places: dict[int, int] = field(default_factory=lambda: {-1: -1})
    """Node -> its number among these; -1: the text."""

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def tree(self) -> TokenTree:
        return TokenTree(tuple(self.tokens), tuple(self.parents))

    def add(self, tree: TokenTree, nodes: Iterable[int]) -> list[int]:
        """Take in some nodes of the tree under construction; the numbers, among these, of the parents of the new."""
        above: list[int] = []
        for node in nodes:
            for step in tree.path(node):
                if step not in self.places:
                    above.append(self.places[tree.parents[step]])
                    self.places[step] = len(self.tokens)
                    self.tokens.append(tree.tokens[step])
                    self.parents.append(above[-1])
        return above
