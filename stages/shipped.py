"""Heads and adapters for stages: from a folder, or those that ship with ptgflow."""

from importlib.resources import files
from pathlib import Path

from ptgflow.diagnostics.codes.runtime import NO_HEADS
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError


def shipped_heads(model: str, kind: str) -> Path | None:
    """The folder of the heads of a kind for a model's card; None: none ship."""
    found = Path(str(files("ptgflow.recipes").joinpath("weights", model, kind)))
    return found if found.is_dir() else None


def given_or_shipped(weights: str | None, model: LoadedModel, *, kind: str, stage: str, slot: str, train: str) -> Heads:
    """Heads from a folder, or those that ship.

    Args:
        weights: the folder; None: those that ship.
        model: what they are for.
        kind: of the heads.
        stage: what the stage is called in a message.
        slot: its slot.
        train: what trains such heads, as `ptgflow train` is told it.

    Raises:
        RunError: NO_HEADS, HEADS_UNREADABLE, HEADS_MISMATCH or UNSAFE_WEIGHTS.
    """
    folder = Path(weights) if weights is not None else shipped_heads(model.name, kind)
    if folder is None:
        raise RunError([NO_HEADS(stage=stage, slot=slot, kind=kind, train=train, model=model.name)])
    return load_heads(folder, model, kind=kind)
