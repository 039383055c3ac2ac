"""A module's decoder layer where it is one of the target's own, of the Llama or Qwen kind."""

from typing import Any

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.target import base_of, layer_settings
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.attention import head_dim


def module_config(model: LoadedModel) -> HeadConfig:
    """A head with the sizes of the target's layers, that reads the target's last state."""
    return HeadConfig(
        kind="eagle",
        base=base_of(model),
        draft_vocab_size=model.vocab_size,
        taps=(model.layers,),
        own_output=False,
        **layer_settings(model),
    )


def plain_shapes(model: LoadedModel) -> dict[str, tuple[int, ...]]:
    """Shapes of the layer's tensors: those of Qwen 2, with biases on queries, keys and values."""
    config: Any = model.config
    hidden, inner, size = model.hidden_size, config.intermediate_size, head_dim(config)
    queries, keys = config.num_attention_heads * size, config.num_key_value_heads * size
    outs = {"q": queries, "k": keys, "v": keys}
    return {
        "input_layernorm.weight": (hidden,),
        "post_attention_layernorm.weight": (hidden,),
        **{f"self_attn.{one}_proj.weight": (out, hidden) for one, out in outs.items()},
        **{f"self_attn.{one}_proj.bias": (out,) for one, out in outs.items()},
        "self_attn.o_proj.weight": (hidden, queries),
        "mlp.gate_proj.weight": (inner, hidden),
        "mlp.up_proj.weight": (inner, hidden),
        "mlp.down_proj.weight": (hidden, inner),
    }
