"""Trees that follow what the drafter says of each node: EAGLE-2, OPT-Tree, DySpec and dynamic depth."""

from dataclasses import dataclass
from typing import final

from ptgflow.engine.growth.builder import Growing, Sprout, Wanted


@final
@dataclass(frozen=True, slots=True)
class Eagle2:
    """At each depth the likeliest nodes are expanded; of all the likeliest are verified (arXiv 2406.16858, 4.1-2)."""

    depth: int = 6
    width: int = 10

    def grow(self, limit: int) -> Growing:
        return (yield from _levels(limit, self.depth, self.width))


@final
@dataclass(frozen=True, slots=True)
class DynamicDepth:
    """EAGLE-2's tree, which grows deeper only while its level as a whole is likely (arXiv 2409.00142, section 3)."""

    depth: int = 10
    width: int = 10
    threshold: float = 0.3
    """Least sum of the likelihoods of the nodes of a level for another one below it."""

    def grow(self, limit: int) -> Growing:
        return (yield from _levels(limit, self.depth, self.width, self.threshold))


def _levels(limit: int, depth: int, width: int, threshold: float = 0.0) -> Growing:
    """Expand the `width` likeliest nodes of each level while these are likely enough together; keep the likeliest."""
    sprout, level = Sprout(), [-1]
    for _ in range(min(depth, limit)):
        found = yield Wanted(sprout.tree, tuple(level))
        new = sprout.add_all(level, found, width)
        level = sorted(sorted(new, key=lambda node: (-sprout.survival[node], node))[:width])
        if sum(sprout.survival[node] for node in level) < threshold or not level:
            break
    return sprout.grown(sprout.best(limit))


@final
@dataclass(frozen=True, slots=True)
class OptTree:
    """The tree with the most expected tokens kept, by the drafter's own chances (Wang et al., arXiv 2406.17276, 3.2).

    It grows level by level while the expectation of its best `limit` nodes does; only nodes among these are expanded,
    as below the others there are none.
    """

    depth: int = 10
    width: int = 10
    gain: float = 0.0
    """Least growth of the expectation for another level."""

    def grow(self, limit: int) -> Growing:
        sprout, level, before = Sprout(), [-1], 0.0
        for depth in range(1, min(self.depth, limit) + 1):
            found = yield Wanted(sprout.tree, tuple(level))
            sprout.add_all(level, found, self.width)
            best = sprout.best(limit)
            expected = sum(sprout.survival[node] for node in best)
            level = [node for node in best if sprout.depths[node] == depth]
            if not level or expected - before <= self.gain:
                break
            before = expected
        return sprout.grown(sprout.best(limit))


@final
@dataclass(frozen=True, slots=True)
class DySpec:
    """Greedy: always the likeliest node that is not in the tree yet (Xiong et al., arXiv 2410.11744, algorithm 1).

    A node is expanded when it is in the tree; all whose children could still get in are expanded together.
    """

    depth: int = 16
    width: int = 8

    def grow(self, limit: int) -> Growing:
        sprout, known = Sprout(), set[int]()
        level = [-1]
        while level:
            found = yield Wanted(sprout.tree, tuple(level))
            known.update(level)
            sprout.add_all(level, found, self.width)
            best = sprout.best(limit)
            least = sprout.survival[min(best, key=lambda node: sprout.survival[node])] if len(best) == limit else 0.0
            level = [
                node
                for node in best
                if node not in known and sprout.depths[node] < self.depth and sprout.survival[node] > least
            ]
        return sprout.grown(sprout.best(limit))
