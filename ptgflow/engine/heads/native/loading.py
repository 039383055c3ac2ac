"""From a checkpoint's prediction modules to heads, checked; families that cannot be used are named."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from torch import Tensor

from ptgflow.contracts.native_modules import native_modules
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.native.files import module_tensors, unusable
from ptgflow.engine.heads.native.mimo import PREFIX, mimo_heads, mimo_shapes
from ptgflow.engine.models.model import LoadedModel

_FAMILIES: Final = {"mimo": "MiMo", "deepseek": "DeepSeek-V3 and GLM-4", "qwen3_next": "Qwen3-Next"}


def load_native(model: LoadedModel) -> Heads:
    """The module of a loaded model.

    Raises:
        RunError: MODULES_UNUSABLE.
    """
    folder = model.folder
    family, count = ("", 0) if folder is None else native_modules(folder)
    if folder is None or not count:
        raise unusable(model.name, "its files have none")
    if family != "mimo" or model.config.model_type != "qwen2":
        reason = f"they are named as those of {_FAMILIES[family]}, in a model of the architecture "
        raise unusable(model.name, f"{reason}{model.config.model_type!r}, and only those of MiMo can be run")
    if count > 1:
        raise unusable(model.name, f"it has {count} of them, and a drafter of one module is all that can be run")
    if model.config.sliding_window is not None:
        raise unusable(model.name, "its layers see a window of the text, and theirs would be as well")
    tensors = module_tensors(folder, f"{PREFIX}0.", model.name)
    _check(tensors, mimo_shapes(model), model.name)
    return replace(mimo_heads(tensors, model), source=str(Path(folder)))


def _check(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], model: str) -> None:
    """Whether a module has all its tensors, in the sizes of the model's own layers, and no others."""
    for name, shape in shapes.items():
        found = tensors.get(name)
        if found is None:
            raise unusable(model, f"the tensor {f'{PREFIX}0.{name}'!r} is missing")
        if tuple(found.shape) != shape:
            reason = f"the tensor {f'{PREFIX}0.{name}'!r} is {list(found.shape)}, and the model's own sizes say "
            raise unusable(model, f"{reason}{list(shape)}")
    unknown = sorted(tensors.keys() - shapes.keys())
    if unknown:
        raise unusable(model, f"the tensor {f'{PREFIX}0.{unknown[0]}'!r} is one that no module of MiMo has")
