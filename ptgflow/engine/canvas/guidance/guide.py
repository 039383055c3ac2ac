"""The seam of a guide: an autoregressive model that reads what is proposed."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a guide is asked about one row in one round."""

    row: int
    """Its number in the loop."""
    text: tuple[int, ...]
    """Prompt and canvas, with what is proposed in its holes, up to the last token that is to be judged, which need not
    be read and is left out."""
    wanted: tuple[int, ...]
    """Which places of this text, ascending, are to be predicted, each from all that lies before it. What lies before
    the first of them stays; the last may be the one behind the text."""

    def __post_init__(self) -> None:
        assert self.wanted, "something is asked"
        assert self.wanted[0] > 0, "what predicts a place is read before it"
        assert self.wanted[-1] == len(self.text), "nothing is read in vain"


@runtime_checkable
class Guide(Protocol):
    """Predicts each token from those before it, for many rows at once."""

    def answer(self, questions: list[Question]) -> list[Float[Tensor, "wanted vocab"]]:
        """One pass: for each row logits in fp32, a line for each wanted place, over the target's tokens.

        The result of a row must not depend on which others are in the pass.
        """
        ...

    def forget(self, row: int) -> None:
        """Drop what is known of a row, if anything is."""
        ...
