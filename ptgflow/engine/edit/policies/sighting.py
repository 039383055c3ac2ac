"""What a model makes of a text, for those who decide about its edits."""

from dataclasses import dataclass
from typing import Final

from jaxtyping import Float
from torch import Tensor

FACTS: Final = 5
"""Numbers about each token: its log-probability and how far below the likeliest it is, in both readings, and the
entropy of its place as the text before it has it."""


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """One text. The first line is of the token that stands before it, of which there are no facts."""

    states: Float[Tensor, "lines features"]
    """At each tap, of the model's own reading and then of the one that sees both sides."""
    facts: Float[Tensor, "lines facts"]

    @property
    def tokens(self) -> int:
        """Of the text."""
        return len(self.states) - 1
