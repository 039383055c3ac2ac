"""The adapters that make a masked model of an autoregressive one."""

from ptgflow.diagnostics.codes.runtime import NO_MASK
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError
from ptgflow.stages.shipped import given_or_shipped, shipped_heads

_KIND, _TRAIN = "masked", "objective=mdm"


def adapters(model: LoadedModel, slot: str, weights: str | None, *, paradigm: str = "masked") -> Heads:
    """Adapters for canvases, from a folder or those that ship.

    Raises:
        RunError: NO_MASK, HEADS_UNREADABLE, HEADS_MISMATCH or UNSAFE_WEIGHTS.
    """
    stage = f"{slot!r} ({paradigm})"
    if weights is None and shipped_heads(model.name, _KIND) is None:
        raise RunError([NO_MASK(stage=stage, slot=slot, model=model.name, train=_TRAIN)])
    return given_or_shipped(weights, model, kind=_KIND, stage=stage, slot=slot, train=_TRAIN)
