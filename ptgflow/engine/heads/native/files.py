"""The tensors of a checkpoint's prediction modules. transformers leaves them in the file when it loads the model."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ptgflow.diagnostics.codes.runtime import MODULES_UNUSABLE
from ptgflow.errors import RunError


def module_tensors(folder: Path, prefix: str, model: str) -> dict[str, Tensor]:
    """All tensors whose names begin with a prefix, by the rest of their names; no other is read.

    Raises:
        RunError: MODULES_UNUSABLE, for a file that cannot be read.
    """
    found: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 (it is no mapping)
                found |= {name.removeprefix(prefix): file.get_tensor(name) for name in names}
        except (OSError, SafetensorError) as error:
            raise unusable(model, f"{path.name}: {error}") from error
    return found


def unusable(model: str, reason: str) -> RunError:
    """Why the modules of a model cannot be used."""
    return RunError([MODULES_UNUSABLE(model=model, reason=reason)])
