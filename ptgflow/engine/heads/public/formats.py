"""Which published format a folder is in: told by its configuration, and by the names of its tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptgflow.diagnostics.codes.runtime import HEADS_MISMATCH
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.public.eagle import load_eagle
from ptgflow.engine.heads.public.eagle3 import load_eagle3
from ptgflow.engine.heads.public.files import read_tensors, unreadable
from ptgflow.engine.heads.public.medusa import load_medusa
from ptgflow.engine.heads.public.speculators import load_speculators
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError


def load_public(folder: Path, said: Mapping[str, Any], model: LoadedModel, *, kind: str) -> Heads:
    """Heads in a format that is not ours.

    Args:
        folder: where they are.
        said: its `config.json`.
        model: the target.
        kind: what is asked for, `medusa` or `eagle`.

    Raises:
        RunError: HEADS_UNREADABLE, HEADS_MISMATCH or UNSAFE_WEIGHTS.
    """
    found = "medusa" if "medusa_num_heads" in said else "eagle"
    speculators = "speculators_model_type" in said or "speculators_config" in said
    if not speculators and "medusa_num_heads" not in said and "hidden_size" not in said:
        formats = "ptgflow's own (kind), Medusa's (medusa_num_heads), EAGLE's (hidden_size) or speculators'"
        raise unreadable(folder, f"config.json is in none of the formats that can be read: {formats}")
    if found != kind:
        raise RunError([HEADS_MISMATCH(path=str(folder), what="kind", want=kind, have=found)])
    if found == "medusa":
        return load_medusa(folder, said, model)
    tensors = read_tensors(folder, model)
    if speculators:
        return load_speculators(folder, said, tensors, model)
    named = said.get("base_model_name_or_path") or said.get("target_model_name_or_path")
    # Only EAGLE-3 norms the states before its layer; servers have it under the names of EAGLE 1's layer.
    third = any(name.startswith("midlayer.") or name.endswith(".hidden_norm.weight") for name in tensors)
    load = load_eagle3 if third else load_eagle
    return load(folder, said, tensors, model, named=named)
