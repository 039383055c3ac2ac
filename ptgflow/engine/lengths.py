"""How deep a row's drafts go, where that follows from the fate of its earlier drafts and not from what a pass costs."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, final, runtime_checkable

from ptgflow.engine.trees import TokenTree


@runtime_checkable
class RowLength(Protocol):
    """One instance serves one row."""

    def depth(self) -> int:
        """Most levels of the next draft."""
        ...

    def learn(self, tree: TokenTree, path: Sequence[int]) -> None:
        """What was verified, and which nodes were kept."""
        ...


@final
@dataclass(slots=True)
class Heuristic:
    """Two more after a draft that was kept to its end, one less after another: transformers' assisted generation."""

    start: int = 5
    most: int = 64
    _now: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._now = min(self.start, self.most)

    def depth(self) -> int:
        return int(self._now)

    def learn(self, tree: TokenTree, path: Sequence[int]) -> None:
        deepest = max(tree.depths, default=-1) + 1
        self._now = min(self._now + 2, self.most) if len(path) == deepest else max(self._now - 1, 1)


@final
class Thompson:
    """Go on while a draw says that the next token will be kept (EESD, arXiv 2406.03853, section 3.3).

    The chance of a token is Beta distributed by how many were kept and how many were not, starting even; it is drawn
    anew for each draft, and each further token is then a trial with that chance.
    """

    def __init__(self, *, most: int, seed: int) -> None:
        """Start with Beta(1, 1), and a generator of the row's own."""
        self._most = most
        self._kept = self._lost = 1.0
        self._random = random.Random(seed)

    def depth(self) -> int:
        chance = self._random.betavariate(self._kept, self._lost)
        depth = 1
        while depth < self._most and self._random.random() < chance:
            depth += 1
        return depth

    def learn(self, tree: TokenTree, path: Sequence[int]) -> None:
        self._kept += len(path)
        # A draft that ends with a token that is kept has lost nothing.
        self._lost += len(path) < max(tree.depths, default=-1) + 1


def cut(tree: TokenTree, depth: int) -> list[int]:
    """The nodes of the first so many levels."""
    return [node for node, above in enumerate(tree.depths) if above < depth]
