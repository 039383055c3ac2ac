"""Where something was measured: in words, as every table of measurements says it."""

import platform
from importlib.metadata import version

import torch

from ptgflow.engine.costs.store import device_name
from ptgflow.engine.models.model import LoadedModel


def machine_of(model: LoadedModel) -> str:
    """Device, threads, and the versions that decide how fast a pass is."""
    return (
        f"{device_name(model.device)}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"transformers {version('transformers')}, Python {platform.python_version()}"
    )
