"""The tensors of a published folder: safetensors, or pickles where the model's card allows them."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ptgflow.diagnostics.codes.runtime import HEADS_UNREADABLE, UNSAFE_WEIGHTS
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError

_PICKLES: Final = ("pytorch_model*.bin", "*.pt", "*.pth")
_READ_ERRORS: Final = (OSError, RuntimeError, ValueError, EOFError, SafetensorError, pickle.UnpicklingError)


def read_tensors(folder: Path, model: LoadedModel, *, stem: str = "*") -> dict[str, Tensor]:
    """All tensors of a folder.

    A pickle can run code of its author, so it is read as a model's would be: only where the card of the target says
    `allow_pickle`, and even then by a reader that makes nothing but tensors.

    Args:
        folder: where the files lie.
        model: the target.
        stem: the files' name, without what says the format.

    Raises:
        RunError: HEADS_UNREADABLE or UNSAFE_WEIGHTS.
    """
    safe = sorted(folder.glob(f"{stem}.safetensors"))
    if safe:
        return _merged(safe)
    found = (path for pattern in _PICKLES for path in folder.glob(pattern))
    pickles = sorted(path for path in found if path.match(f"{stem}.*"))
    if not pickles:
        raise unreadable(folder, f"there is no {stem}.safetensors in it, and no pickle of tensors either")
    if not model.card.allow_pickle:
        names = ", ".join(path.name for path in pickles)
        raise RunError([UNSAFE_WEIGHTS(source=str(folder), found=names)])
    return _merged(pickles)


def _merged(files: Sequence[Path]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path in files:
        try:
            found: Any = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, map_location="cpu", weights_only=True)
            )
        except _READ_ERRORS as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else _first_line(error)
            raise unreadable(path.parent, f"{path.name}: {reason}") from error
        if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
            raise unreadable(path.parent, f"{path.name} holds something else than named tensors")
        tensors |= found
    return tensors


def unreadable(folder: Path, reason: str) -> RunError:
    """What is wrong with a folder."""
    return RunError([HEADS_UNREADABLE(path=str(folder), reason=reason)])


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
