"""What the decoding loop needs of a model: one pass over the new tokens of some rows."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.slots import RowInput, SlotCache


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
