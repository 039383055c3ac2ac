"""The adapters that make a masked model of an autoregressive one."""

from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.stages.shipped import given_or_shipped


def adapters(model: LoadedModel, slot: str, weights: str | None) -> Heads:
    """Adapters for canvases, from a folder or those that ship.

    Raises:
        RunError: NO_HEADS, HEADS_UNREADABLE, HEADS_MISMATCH or UNSAFE_WEIGHTS.
    """
    stage = f"{slot!r} (masked)"
    return given_or_shipped(weights, model, kind="masked", stage=stage, slot=slot, train="objective=mdm")
