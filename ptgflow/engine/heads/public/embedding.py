"""The embedding that published heads bring along: mostly a copy of the target's, which is not kept twice."""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from ptgflow.engine.models.model import LoadedModel

EMBEDDING: Final = "embed_tokens.weight"
_SAME: Final = 0.02
"""Of the length of the target's embedding: what other precisions of the same numbers differ by at most, int8's too."""
_ROWS: Final = 4096


def without_a_copy(tensors: Mapping[str, Tensor], model: LoadedModel) -> dict[str, Tensor]:
    """The tensors without an embedding that is the target's."""
    own = tensors.get(EMBEDDING)
    if own is None or not _is_the_targets(own, model):
        return dict(tensors)
    return {name: one for name, one in tensors.items() if name != EMBEDDING}


def _is_the_targets(own: Tensor, model: LoadedModel) -> bool:
    if own.shape != (model.vocab_size, model.hidden_size):
        return False
    apart = length = 0.0
    for begin in range(0, model.vocab_size, _ROWS):
        ids = torch.arange(begin, min(begin + _ROWS, model.vocab_size), device=model.device)
        theirs = model.embed(ids).float().cpu()
        apart += float((own[begin : begin + len(ids)].float() - theirs).square().sum())
        length += float(theirs.square().sum())
    return apart <= _SAME**2 * length
