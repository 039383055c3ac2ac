"""The prediction module of MiMo (Xiaomi, arXiv 2505.07608), a Qwen 2 layer behind a product.

`input_proj` reads the target's last state and the next token's embedding, each normed, in this order: EAGLE and
DeepSeek-V3 have it the other way round. What `final_layernorm` leaves goes to the target's own output matrix, and
stands for the target's last state where the module is asked for one token more.
"""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.layout import Layout
from ptgflow.engine.heads.native.plain_layer import module_config, plain_shapes
from ptgflow.engine.models.model import LoadedModel

PREFIX: Final = "model.mtp_layers."
_NAMES: Final = {
    "input_proj.weight": "fc.weight",
    "token_layernorm.weight": "embedding_norm.weight",
    "hidden_layernorm.weight": "states_norm.weight",
    "final_layernorm.weight": "norm.weight",
}


def mimo_shapes(model: LoadedModel) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of the module, by its name in the checkpoint."""
    hidden = model.hidden_size
    norms = ("token_layernorm.weight", "hidden_layernorm.weight", "final_layernorm.weight")
    return {"input_proj.weight": (hidden, 2 * hidden), **dict.fromkeys(norms, (hidden,)), **plain_shapes(model)}


def mimo_heads(tensors: Mapping[str, Tensor], model: LoadedModel) -> Heads:
    """The module as a head; its tensors have been checked."""
    hidden = model.hidden_size
    named: dict[str, Any] = {_NAMES.get(name, f"midlayer.{name}"): one.float() for name, one in tensors.items()}
    state, embedding = named["fc.weight"].split(hidden, dim=1)
    named["fc.weight"] = torch.cat((embedding, state), dim=1)
    layout = Layout(joined=True, feeds_normed=True)
    return Heads(module_config(model), named, torch.arange(model.vocab_size), layout)
