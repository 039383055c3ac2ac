"""The seam by which something else than the model says which tokens may come next in a row."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Bool
from torch import Tensor


@runtime_checkable
class Constraint(Protocol):
    """Rules tokens out. One instance serves one row, so it may keep state between calls."""

    def allowed(self, written: Sequence[int]) -> Bool[Tensor, " vocab"]:
        """Which tokens may follow the answer so far; at least one may, if only an end token.

        It is a function of `written` alone: a row that had to make room for others asks for the same places again.
        """
        ...
