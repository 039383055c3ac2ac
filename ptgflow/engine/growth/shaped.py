"""Trees whose shape is known before the drafter is asked: `static`, and Sequoia's dynamic programme."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final

from ptgflow.engine.growth.builder import Growing, Sprout, Wanted
from ptgflow.engine.trees import TokenTree

RATES: Final = (0.55, 0.13, 0.06, 0.04, 0.025, 0.02, 0.015, 0.01)
"""How often a candidate of each rank is the target's token, as trained heads have it, roughly; see `Sequoia.learn`."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Parents before children; each node is the candidate of one rank of its parent."""

    parents: tuple[int, ...]
    ranks: tuple[int, ...]

    def depths(self) -> list[int]:
        """1 for a node that follows the text."""
        found: list[int] = []
        for parent in self.parents:
            found.append(1 if parent < 0 else found[parent] + 1)
        return found


def grow_shape(shape: Shape) -> Growing:
    """Fill a shape level by level; where a node has too few candidates, what hangs on the others is left out."""
    sprout, at = Sprout(), {-1: -1}
    depths = shape.depths()
    for depth in range(1, max(depths, default=0) + 1):
        level = [node for node, own in enumerate(depths) if own == depth and shape.parents[node] in at]
        asked = sorted({at[shape.parents[node]] for node in level})
        if not asked:
            break
        found = dict(zip(asked, (yield Wanted(sprout.tree, tuple(asked))), strict=True))
        for node in level:
            parent, rank = at[shape.parents[node]], shape.ranks[node]
            if rank < len(found[parent].tokens):
                at[node] = sprout.add(parent, found[parent].tokens[rank], found[parent].chances[rank])
    return sprout.grown()


@final
@dataclass(frozen=True, slots=True)
class Static:
    """Medusa's tree (arXiv 2401.10774, section 2.3.3): of all ranks at all depths the nodes likeliest to be kept.

    Likeliest when a candidate of rank r is right at a rate that does not depend on what stands above it.
    """

    depth: int = 4
    rates: tuple[float, ...] = RATES

    @property
    def width(self) -> int:
        return len(self.rates)

    def grow(self, limit: int) -> Growing:
        return grow_shape(best_shape(self.rates, limit, self.depth))


@final
class Sequoia:
    """The best shape for the acceptance rates that were observed, by rank (Chen et al., arXiv 2402.12374, section 3.1).

    The engine's cost curve then decides how many of the nodes are verified (section 3.3).
    """

    def __init__(self, *, depth: int = 8, rates: Sequence[float] = RATES, memory: int = 200) -> None:
        """Start with some rates, which fade as others are observed over `memory` nodes."""
        self._depth = depth
        self._memory = memory
        self._kept = [rate * memory / 4 for rate in rates]
        self._reached = [memory / 4 for _ in rates]

    @property
    def width(self) -> int:
        return len(self._kept)

    @property
    def rates(self) -> tuple[float, ...]:
        """How often a candidate of each rank is kept when its parent is; rounded, so that shapes are found again."""
        rates = [round(kept / reached * 50) / 50 for kept, reached in zip(self._kept, self._reached, strict=True)]
        # What holds of a candidate holds of those that the drafter puts before it, whatever few trials say.
        return tuple(max(rates[at:]) for at in range(len(rates)))

    def grow(self, limit: int) -> Growing:
        return grow_shape(best_shape(self.rates, limit, self._depth))

    def learn(self, tree: TokenTree, path: Sequence[int]) -> None:
        """Take in which nodes of a tree of this builder were kept."""
        for node, children in enumerate(tree.children, start=-1):
            if node >= 0 and node not in path:
                continue
            for rank, child in enumerate(children[: len(self._kept)]):
                fade = 1 - 1 / self._memory
                self._kept[rank] = self._kept[rank] * fade + (child in path)
                self._reached[rank] = self._reached[rank] * fade + 1


@lru_cache(maxsize=256)
def best_shape(rates: tuple[float, ...], size: int, depth: int) -> Shape:
    """The shape of at most `size` nodes, and at most `depth` levels, with the most expected tokens kept.

    A node of rank r is kept at the rate `rates[r]` if its parent is. By dynamic programming over subtrees: the value of
    n nodes below a kept one is the best division among its children, the child of rank r first.
    """
    parents: list[int] = []
    ranks: list[int] = []

    def place(parent: int, count: int, levels: int, rank: int) -> None:
        """Lay out `count` nodes as subtrees of the children of a node, from one rank on."""
        if not count or not levels or rank == len(rates):
            return
        own = _division(rates, count, levels, rank)[1]
        if own:
            parents.append(parent)
            ranks.append(rank)
            place(len(parents) - 1, own - 1, levels - 1, 0)
            place(parent, count - own, levels, rank + 1)

    place(-1, size, depth, 0)
    return Shape(tuple(parents), tuple(ranks))


@lru_cache(maxsize=1 << 16)
def _division(rates: tuple[float, ...], count: int, levels: int, rank: int) -> tuple[float, int]:
    """The most expected tokens of `count` nodes among the children of a kept node from one rank on, in some levels.

    And how many of the nodes are the subtree of the child of that rank.
    """
    if not count or not levels or rank == len(rates):
        return 0.0, 0
    best = (0.0, 0)
    for own in range(1, count + 1):
        below = _division(rates, own - 1, levels - 1, 0)[0]
        beside = _division(rates, count - own, levels, rank + 1)[0]
        value = rates[rank] * (1.0 + below) + beside
        if value > best[0] + 1e-12:
            best = (value, own)
    return best
