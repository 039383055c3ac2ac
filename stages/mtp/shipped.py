"""The heads that ship with ptgflow."""

from importlib.resources import files
from pathlib import Path


def shipped_heads(model: str, kind: str) -> Path | None:
    """The folder of the heads of a kind for a model's card; None: none ship."""
    found = Path(str(files("ptgflow.recipes").joinpath("weights", model, kind)))
    return found if found.is_dir() else None
