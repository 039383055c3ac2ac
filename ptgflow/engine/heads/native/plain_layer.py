"""A module's decoder layer where it is one of the target's own, of the Llama or Qwen kind."""

from typing import Any

from ptgflow.engine.heads.config import Base, HeadConfig
from ptgflow.engine.models.model import LoadedModel


def module_config(model: LoadedModel) -> HeadConfig:
    """A head with the sizes of the target's layers, that reads the target's last state."""
    config: Any = model.config
    return HeadConfig(
        kind="eagle",
        base=Base(
            name=model.name,
            tokenizer=model.codec.fingerprint,
            parameters=model.parameters,
            hidden_size=model.hidden_size,
            vocab_size=model.vocab_size,
            layers=model.layers,
        ),
        draft_vocab_size=model.vocab_size,
        taps=(model.layers,),
        own_output=False,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=head_dim(config),
        intermediate_size=config.intermediate_size,
        rms_norm_eps=config.rms_norm_eps,
        rope_parameters=dict(config.rope_parameters),
        max_position_embeddings=config.max_position_embeddings,
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


def head_dim(config: Any) -> int:
    """Size of a query."""
    size: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return size
