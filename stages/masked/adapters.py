"""The adapters that make a masked model of an autoregressive one."""

from pathlib import Path

from ptgflow.diagnostics.codes.runtime import NO_HEADS
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError
from ptgflow.stages.mtp.shipped import shipped_heads


def adapters(model: LoadedModel, slot: str, weights: str | None) -> Heads:
    """Adapters for canvases, from a folder or those that ship.

    Raises:
        RunError: NO_HEADS, HEADS_UNREADABLE, HEADS_MISMATCH or UNSAFE_WEIGHTS.
    """
    folder = Path(weights) if weights is not None else shipped_heads(model.name, "masked")
    if folder is None:
        raise RunError(
            [NO_HEADS(stage=f"{slot!r} (masked)", slot=slot, kind="masked", train="objective=mdm", model=model.name)]
        )
    return load_heads(folder, model, kind="masked")
