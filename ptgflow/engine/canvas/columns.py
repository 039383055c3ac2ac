"""What one row has computed in a pass: places of its text, and shadows of some of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.text_layout import Shadow


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a row: the places that are computed, and behind them those of the shadows."""

    tokens: tuple[int, ...]
    """The text that the model reads."""
    places: Sequence[int]
    """Those that are computed, ascending; the others are read from what was kept."""
    rows: Sequence[int | Shadow]
    """Those whose logits are wanted, all computed, or shadows, which are computed behind the places."""

    @property
    def reads(self) -> bool:
        return len(self.places) < len(self.tokens)

    @cached_property
    def shadows(self) -> list[Shadow]:
        return [row for row in self.rows if isinstance(row, Shadow)]

    @cached_property
    def columns(self) -> dict[int | Shadow, int]:
        """Where each place stands among what is computed, and the first one of each shadow."""
        found: dict[int | Shadow, int] = {place: column for column, place in enumerate(self.places)}
        at = len(found)
        for shadow in self.shadows:
            found[shadow] = at
            at += len(shadow.places)
        return found

    @cached_property
    def positions(self) -> list[int]:
        """The place of each column."""
        return [*self.places, *(place for shadow in self.shadows for place in shadow.places)]

    @cached_property
    def ids(self) -> list[int]:
        """The token of each column."""
        shadowed = (token for shadow in self.shadows for token in shadow.tokens)
        return [*(self.tokens[place] for place in self.places), *shadowed]


def hide_shadows(seen: Bool[Tensor, "width shown"], job: Columns) -> None:
    """Let shadows see themselves in place of what they are shadows of, and nobody else see them."""
    kept = seen.shape[1] - seen.shape[0]
    seen[:, kept + len(job.places) : kept + len(job.positions)] = False
    for shadow in job.shadows:
        own = slice(job.columns[shadow], job.columns[shadow] + len(shadow.places))
        for place in shadow.places:
            if place in job.columns:
                seen[own, kept + job.columns[place]] = False
            else:
                seen[own, place] = False
        seen[own, kept + own.start : kept + own.stop] = True
