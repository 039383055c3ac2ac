"""Some lines of a tensor, copied only where they must be."""

from collections.abc import Sequence

import torch
from jaxtyping import Shaped
from torch import Tensor


def picked(values: Shaped[Tensor, "rows columns"], rows: Sequence[int]) -> Shaped[Tensor, "some columns"]:
    """The lines `rows`, in this order; the result may share memory with `values`, so it is only for reading."""
    first = rows[0]
    if all(row == first + at for at, row in enumerate(rows)):
        return values[first : first + len(rows)]
    return values.index_select(0, torch.tensor(rows, device=values.device))
