"""The seam of the loop over texts: who says what of them is rewritten."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from ptgflow.engine.edit.changes import Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class EditAsk:
    """A text that wants to be looked at."""

    row: int
    """Its number in the loop, the same in all its rounds."""
    text: str
    token_ids: tuple[int, ...]
    """The text under the target's tokenizer."""
    prompt_ids: tuple[int, ...]
    """What the text answers, if anything; it is never rewritten."""
    round: int
    """Rounds that the text has had before."""
    last: bool = False
    """Whether it has none after this one, so that nothing can be taken back later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What one round makes of a text."""

    changes: Changes = ()
    """None: the text is as it should be."""
    token_ids: tuple[int, ...] | None = None
    """The new text under the target's tokenizer; None: it is encoded anew, where it has changed."""


@runtime_checkable
class Editor(Protocol):
    """Rewrites texts, many at once."""

    name: ClassVar[str]
    """As in the table of methods."""

    def revise(self, asks: Sequence[EditAsk]) -> list[Revision]:
        """One round: what to rewrite of each text. The result of a row must not depend on which others are there.

        Raises:
            MemoryError: there is no memory for so many. What is known of them is as before, and fewer can be asked.
        """
        ...

    def free(self, row: int) -> None:
        """A row has ended: drop what is known of it."""
        ...
