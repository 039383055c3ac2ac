"""Heads in the format of the library speculators, EAGLE 1 and 2 (`eagle`) and EAGLE-3 (`eagle3`).

`config.json` has `speculators_model_type`, the layer's sizes in `transformer_layer_config`, and the base in
`speculators_config.verifier`. What the sizes leave out is as in `LlamaConfig`. EAGLE 1 and 2 have names of their own:
`fusion_fc` for `fc` and `transformer` for the layer.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.public.eagle import PREFIX, load_eagle
from ptgflow.engine.heads.public.eagle3 import load_eagle3
from ptgflow.engine.heads.public.files import unreadable
from ptgflow.engine.models.model import LoadedModel

_RENAMED: Final = (("fusion_fc.", "fc."), ("transformer.", f"{PREFIX}."))
_OTHER_NORMS: Final = ("layernorms", "fc_norm", "norm_output")
"""Settings that put norms where no published description of EAGLE has them."""


def load_speculators(folder: Path, said: Mapping[str, Any], tensors: Mapping[str, Tensor], model: LoadedModel) -> Heads:
    """Heads of either kind.

    Raises:
        RunError: HEADS_UNREADABLE or HEADS_MISMATCH.
    """
    kind, layer = said.get("speculators_model_type"), said.get("transformer_layer_config")
    if kind not in ("eagle", "eagle3"):
        raise unreadable(folder, f"its speculators_model_type is {kind!r}, and not 'eagle' or 'eagle3'")
    if not isinstance(layer, dict):
        raise unreadable(folder, "config.json has no transformer_layer_config")
    asked = next((name for name in _OTHER_NORMS if said.get(name)), None)
    if asked is not None:
        raise unreadable(folder, f"config.json asks for {asked}, norms that ptgflow's layer does not have")
    named = _verifier(said)
    if kind == "eagle3":
        # The size of a draft vocabulary that is not written is that of the class of the configuration.
        more = {"draft_vocab_size": 32000, **said}
        return load_eagle3(folder, layer, tensors, model, named=named, more=more)
    ours = {_renamed(name): one for name, one in tensors.items()}
    sizes = {"num_hidden_layers": 1, **layer, "bias": bool(said.get("fusion_bias", False))}
    return load_eagle(folder, sizes, ours, model, named=named)


def _renamed(name: str) -> str:
    for theirs, ours in _RENAMED:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


def _verifier(said: Mapping[str, Any]) -> Any:
    """The name of the base; None where it is not said."""
    config = said.get("speculators_config")
    verifier = config.get("verifier") if isinstance(config, dict) else None
    return verifier.get("name_or_path") if isinstance(verifier, dict) else None
