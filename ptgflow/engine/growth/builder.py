"""What a tree builder is: it asks for the candidates after some nodes, and decides which nodes the tree gets.

A builder is a generator and never calls a model, so that one call of a drafter can serve the trees of many rows, and a
tree can be compared with the best of all trees on a toy distribution.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, final, runtime_checkable

from ptgflow.engine.trees import TokenTree


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may follow one node, the likeliest first."""

    tokens: tuple[int, ...]
    chances: tuple[float, ...]
    """Probability of each under the drafter, given the node."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Nodes of a tree under construction whose candidates are wanted; -1: the text."""

    tree: TokenTree
    nodes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grown:
    """A tree that is finished."""

    tree: TokenTree
    survival: tuple[float, ...]
    """Of each node the product of the chances down to it: how likely the drafter finds it with all above."""

    @property
    def chances(self) -> tuple[float, ...]:
        """Of each node how likely the drafter finds it given its parent."""
        above = (1.0, *self.survival)
        return tuple(
            own / above[parent + 1] if above[parent + 1] else 0.0
            for own, parent in zip(self.survival, self.tree.parents, strict=True)
        )


Growing = Generator[Wanted, Sequence[Candidates], Grown]
"""Yields what it wants to know, is sent the candidates of each node, and ends with the tree."""


@runtime_checkable
class TreeBuilder(Protocol):
    """One way to build trees. One instance serves all rows of a drafter."""

    @property
    def width(self) -> int:
        """How many candidates of a node it looks at."""
        ...

    def grow(self, limit: int) -> Growing:
        """Build a tree of at most `limit` nodes."""
        ...


@final
@dataclass(slots=True)
class Sprout:
    """A tree under construction."""

    tokens: list[int] = field(default_factory=list[int])
    parents: list[int] = field(default_factory=list[int])
    survival: list[float] = field(default_factory=list[float])
    depths: list[int] = field(default_factory=list[int])
    """1 for a node that follows the text."""

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def tree(self) -> TokenTree:
        return TokenTree(tuple(self.tokens), tuple(self.parents))

    def add(self, parent: int, token: int, chance: float) -> int:
        """Add a node; its number."""
        self.tokens.append(token)
        self.parents.append(parent)
        self.survival.append((self.survival[parent] if parent >= 0 else 1.0) * chance)
        self.depths.append((self.depths[parent] if parent >= 0 else 0) + 1)
        return len(self.tokens) - 1

    def add_all(self, nodes: Sequence[int], found: Sequence[Candidates], width: int) -> list[int]:
        """Add the first `width` candidates of each of some nodes; the numbers of the new ones."""
        return [
            self.add(node, token, chance)
            for node, one in zip(nodes, found, strict=True)
            for token, chance in zip(one.tokens[:width], one.chances[:width], strict=True)
        ]

    def best(self, count: int) -> list[int]:
        """The `count` likeliest nodes, ascending. A node is never likelier than its parent, which comes first."""
        order = sorted(range(len(self)), key=lambda node: (-self.survival[node], node))
        return sorted(order[:count])

    def grown(self, nodes: Sequence[int] | None = None) -> Grown:
        """The finished tree: of all nodes, or of some with their parents."""
        if nodes is None or len(nodes) == len(self):
            return Grown(self.tree, tuple(self.survival))
        return Grown(self.tree.restricted(nodes), tuple(self.survival[node] for node in nodes))
