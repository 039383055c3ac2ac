"""The narrowest tree: the likeliest token after the likeliest token."""

from dataclasses import dataclass
from typing import Final, final

from ptgflow.engine.growth.builder import Growing, Sprout, Wanted


@final
@dataclass(frozen=True, slots=True)
class Chain:
    """Leviathan et al., arXiv 2211.17192: one draft token after the other."""

    depth: int = 64
    width: Final = 1

    def grow(self, limit: int) -> Growing:
        sprout, node = Sprout(), -1
        while len(sprout) < min(limit, self.depth):
            (found,) = yield Wanted(sprout.tree, (node,))
            if not found.tokens:
                break
            node = sprout.add(node, found.tokens[0], found.chances[0])
        return sprout.grown()
