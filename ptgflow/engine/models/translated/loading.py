"""Loads a masked model's checkpoint as the architecture that computes the same, without the code that it brings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, PretrainedConfig, PreTrainedModel

from ptgflow.contracts.masked_model import MaskedFamily
from ptgflow.engine.models.translated import diffusion_transformer, llada
from ptgflow.engine.models.translated.names import Said, Weights

_OUTPUT_BIAS: Final = "lm_head.bias"
_TRANSLATIONS: Final[dict[str, tuple[Callable[[Said], dict[str, Any]], Callable[[Weights, Said], Weights]]]] = {
    "llada": (llada.settings, llada.weights),
    "mdlm": (diffusion_transformer.settings, diffusion_transformer.weights),
    "bd3lm": (diffusion_transformer.settings, diffusion_transformer.weights),
}
"""By family: its settings as those of the architecture that computes it, and its weights under the names there."""


def is_translated(family: MaskedFamily | None) -> bool:
    """Whether a family has names of its own."""
    return family is not None and family.name in _TRANSLATIONS


def translated_config(family: MaskedFamily, said: Said) -> PretrainedConfig:
    """Settings of the architecture that computes the same.

    Raises:
        TranslationError: a variant that no translation is of.
        KeyError: a setting is missing.
    """
    assert family.computed_as is not None, "a family with a translation is computed as something"
    settings, _ = _TRANSLATIONS[family.name]
    return AutoConfig.for_model(family.computed_as, **settings(said))


def translated_network(
    family: MaskedFamily, said: Said, config: PretrainedConfig, folder: Path
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The network, and what transformers says of weights that are missing.

    Raises:
        KeyError, OSError, SafetensorError, RuntimeError: the weights cannot be read.
    """
    _, translate = _TRANSLATIONS[family.name]
    weights = translate(_stored(folder), said)
    bias = weights.pop(_OUTPUT_BIAS, None)
    architecture: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    loaded: Any = architecture.from_pretrained(
        None, config=config, state_dict=weights, dtype="auto", attn_implementation="sdpa", output_loading_info=True
    )
    network, loading = loaded
    if bias is not None:
        network.get_output_embeddings().bias = torch.nn.Parameter(bias)
    return network, loading


def _stored(folder: Path) -> Weights:
    """Every tensor of a folder's safetensors files, mapped, not read."""
    found: Weights = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            found |= {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 (it is no mapping)
    return found
