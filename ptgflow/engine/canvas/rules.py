"""The seams of the loop over canvases: who chooses what is written, and who opens again what was written.

Both are small objects over tensors of one row; neither knows a model. What they draw comes from the generator that they
are handed, so that a row gives the same text whatever else is in its batch.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """What one round shows of one row: the holes that may be filled now."""

    positions: Int[Tensor, " holes"]
    """Places in the canvas, ascending; at least one. All are in the current block."""
    tokens: Int[Tensor, " holes"]
    """What would be written at each: the likeliest token at temperature 0, a draw from its law above that."""
    law: Float[Tensor, "holes vocab"]
    """Log-probabilities at each hole, in nats, after temperature and filters; the mask token has none."""
    block: range
    """Places of the current block, those that are filled among them."""
    round: int
    """Rounds that this block has had before: 0 in its first."""
    generator: torch.Generator
    """Of this row."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settled:
    """What one round shows of what is written: places that may be opened again, none of them frozen."""

    positions: Int[Tensor, " settled"]
    """Places in the canvas, ascending; possibly none."""
    tokens: Int[Tensor, " settled"]
    """What is written there."""
    written: Float[Tensor, " settled"]
    """Log-probability of each token when it was written."""
    now: Float[Tensor, " settled"]
    """Log-probability of each token under what the model predicts at its place in this round: where it sees the token,
    or where it does not, if the re-masker `doubts`."""
    fresh: Bool[Tensor, " settled"]
    """Which were written in this very round; of these `now` is `written`."""
    holes: int
    """Holes of the block after what was written in this round."""
    block: range
    """Places of the current block."""
    round: int
    """Rounds that this block has had before."""
    generator: torch.Generator


@runtime_checkable
class Selector(Protocol):
    """Chooses which holes are filled in a round."""

    def opened(self) -> Self:
        """One for a new block of a row: itself, if it remembers nothing."""
        ...

    def select(self, sight: Sight) -> Bool[Tensor, " holes"]:
        """Which holes are filled with their tokens."""
        ...


@runtime_checkable
class Remasker(Protocol):
    """Chooses what is opened again at the end of a round.

    The loop ends a block when a round leaves no hole in it, so a re-masker that always opens something never ends;
    each has a bound of its own.
    """

    doubts: ClassVar[bool]
    """Whether it asks how likely a token is at a place that does not see it."""

    def opened(self) -> Self:
        """One for a new block of a row."""
        ...

    def reopen(self, settled: Settled) -> Bool[Tensor, " settled"]:
        """Which places become holes again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CanvasAsk:
    """What is wanted of one row in one round."""

    row: int
    """As `admit` numbered it."""
    tokens: tuple[int, ...]
    """The canvas with what is written; at holes whatever."""
    holes: frozenset[int]
    """Places that are not written."""
    block: range
    """The block that is worked on: what lies behind it need not be seen."""
    wanted: tuple[int, ...]
    """Places whose laws are wanted, ascending, all in the block."""
    doubted: tuple[int, ...] = ()
    """Written places whose laws are wanted as if nothing were written there, ascending, all in the block: of a place
    that sees all the others and not what stands in it (WINO's shadow block, arXiv 2507.18578). The states
    of the others have seen it, so this is near to the law of a hole, and not the same."""


@runtime_checkable
class Denoiser(Protocol):
    """A model that predicts what stands in holes, for many rows at once."""

    def admit(self, prompt: tuple[int, ...], size: int) -> int:
        """A new row: what is read before the canvas, and how many places the canvas has. Its number."""
        ...

    def predict(self, asks: list[CanvasAsk]) -> list[Float[Tensor, "lines vocab"]]:
        """One model pass: for each row logits in fp32 over the target's tokens.

        There is a line for each wanted place, and then one for each doubted place. The result of a row must not depend
        on which others are in the pass.
        """
        ...

    def without(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        """What is read in place of a prompt where a canvas is to be predicted as if there were none."""
        ...

    def free(self, row: int) -> None:
        """Drop a row."""
        ...
