"""The editor of wholes: rules that need no model."""

from collections.abc import Sequence
from typing import ClassVar, final

from ptgflow.engine.edit.consistency.layout import layout
from ptgflow.engine.edit.consistency.repeats import repeats
from ptgflow.engine.edit.rules import EditAsk, Revision


@final
class Consistency:
    """Takes out what is said twice; then, in rounds of its own, sets lists and headings alike."""

    name: ClassVar[str] = "consistency"

    def __init__(self, *, similar: float | None, layout: bool) -> None:
        """What is to be put right.

        Args:
            similar: see `repeats`; None: nothing is taken out.
            layout: whether lists and headings are set alike.
        """
        self._similar = similar
        self._layout = layout

    def revise(self, asks: Sequence[EditAsk]) -> list[Revision]:
        return [self._revised(ask.text) for ask in asks]

    def free(self, row: int) -> None:
        """Nothing is kept of a text."""

    def _revised(self, text: str) -> Revision:
        changes = repeats(text, self._similar, self.name) if self._similar is not None else ()
        # Numbers are those of what is left.
        return Revision(changes=changes or (layout(text, self.name) if self._layout else ()))
