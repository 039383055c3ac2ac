"""The word of a guide on what would be written: holes are gone through from the left, up to one that it disputes."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.guidance.guide import Guide


@runtime_checkable
class Judging(Protocol):
    """A rule by which a guide's laws confirm tokens.

    The first hole is written in any case, whatever the selector chose; each one behind it while it is chosen and the
    token is the one that is drawn, or likeliest, by `target`. What the guide says of a token that stands behind a
    disputed one is about a text that will not be.
    """

    coupled: ClassVar[bool]
    """Whether at temperature > 0 tokens are drawn with noise that they share with the draws from `target`."""

    @property
    def guide(self) -> Guide:
        """Who is asked; one serves many rows."""
        ...

    def target(
        self, own: Float[Tensor, "judged vocab"], guided: Float[Tensor, "judged vocab"]
    ) -> Float[Tensor, "judged vocab"]:
        """Logits of the law that has to confirm a token, from those of the masked model and those of the guide."""
        ...


def run_of(chosen: Sequence[bool]) -> int:
    """How many holes may be written, if the guide confirms all: the first one, and those chosen right behind it."""
    return next((at for at, take in enumerate(chosen) if at and not take), len(chosen))


def confirmed(tokens: Sequence[int], targets: Sequence[int]) -> int:
    """How many leading tokens are those that the target has."""
    pairs = enumerate(zip(tokens, targets, strict=True))
    return next((at for at, (token, target) in pairs if token != target), len(tokens))
