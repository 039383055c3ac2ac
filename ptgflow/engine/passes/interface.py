"""What the decoding loop needs of a model: one pass over the new tokens of some rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.slots import RowInput, SlotCache


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tapped:
    """What a pass gives to a caller that wants to see inside."""

    logits: Float[Tensor, "wanted vocab"]
    states: Float[Tensor, "tokens features"]
    """Of every new token the hidden states at the taps, side by side; row by row in the order of the inputs, a row's
    text before the nodes of its tree."""


@runtime_checkable
class ModelPass(Protocol):
    """A model over the slots of a cache."""

    @property
    def cache(self) -> SlotCache:
        """Keys and values of the rows. The caller admits and frees rows, and commits what stays of a pass."""
        ...

    def __call__(self, inputs: Sequence[RowInput]) -> Float[Tensor, "wanted vocab"]:
        """Feed new tokens to rows.

        Returns:
            Logits in the order of `inputs`: of each row that wants them those after the last of its tokens, then those
            after each node of its tree.

        Raises:
            SlotsFullError: the memory budget does not suffice; nothing was changed.
        """
        ...

    def tapped(self, inputs: Sequence[RowInput], taps: Sequence[int]) -> Tapped:
        """The same, with hidden states.

        Args:
            inputs: what each row brings.
            taps: which states, as transformers counts its `hidden_states`: i is what enters layer i, and the number of
                layers what the last norm leaves.
        """
        ...
