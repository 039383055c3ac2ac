"""Trees of what followed the same tokens before, by how often it did."""

from collections.abc import Callable, Sequence
from typing import Protocol, final, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.growth.builder import Candidates, TreeBuilder, Wanted
from ptgflow.engine.growth.tree_drafter import TreeDrafter
from ptgflow.engine.request import Ask


@runtime_checkable
class Continuations(Protocol):
    """What one row has to look into."""

    def advance(self, context: Sequence[int]) -> None:
        """The row's text is now this; it begins with what it was before."""
        ...

    def after(self, path: Sequence[int], width: int) -> Candidates:
        """What may follow the text and then a path, the likeliest first."""
        ...

    def close(self) -> None:
        """The row has ended."""
        ...


@final
class LookupDrafter(TreeDrafter):
    """Looks up each node of a tree; no model is asked."""

    taps: tuple[int, ...] = ()

    def __init__(
        self, open_row: Callable[[], Continuations], builder: TreeBuilder, *, size: int, least: float = 0.0
    ) -> None:
        """Make a drafter.

        Args:
            open_row: makes what a new row looks into.
            builder: the shape of the trees.
            size: most nodes of a tree.
            least: candidates of a smaller chance are not drafted.
        """
        super().__init__(builder, size=size, least=least)
        self._open = open_row
        self._rows: dict[int, Continuations] = {}

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Nothing to do: the text comes with each question."""

    def fork(self, row: int, source: int, length: int) -> None:
        """Nothing to do: the text comes with each question."""

    def forget(self, row: int) -> None:
        """Close the row."""
        known = self._rows.pop(row, None)
        if known is not None:
            known.close()

    def ready(self, asks: Sequence[Ask]) -> list[bool]:
        for ask in asks:
            if ask.row not in self._rows:
                self._rows[ask.row] = self._open()
            self._rows[ask.row].advance(ask.context)
        return [True for _ in asks]

    def expand(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> list[list[Candidates]]:
        return [
            [
                self._rows[asks[at].row].after([one.tree.tokens[step] for step in one.tree.path(node)], self.width)
                for node in one.nodes
            ]
            for at, one in wanted
        ]
