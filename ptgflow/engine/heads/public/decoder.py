"""The decoder layer of published EAGLE heads: its sizes from a configuration, its tensors, its rotary embedding."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from huggingface_hub.errors import StrictDataclassError
from transformers import LlamaConfig, PretrainedConfig, Qwen3Config

from ptgflow.engine.heads.public.checks import Shapes
from ptgflow.engine.heads.public.files import unreadable

_GROWING: Final = ("dynamic", "longrope")
"""Rotary embeddings whose frequencies depend on the longest text of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """What a configuration in Llama's words says of one decoder layer."""

    hidden: int
    vocab: int
    heads: int
    key_heads: int
    head_dim: int
    inner: int
    eps: float
    rope: dict[str, Any]
    max_positions: int

    @property
    def fields(self) -> dict[str, Any]:
        """The same in the words of `HeadConfig`."""
        return {
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_heads,
            "head_dim": self.head_dim,
            "intermediate_size": self.inner,
            "rms_norm_eps": self.eps,
            "rope_parameters": self.rope,
            "max_position_embeddings": self.max_positions,
        }


def decoder_of(folder: Path, said: Mapping[str, Any]) -> Decoder:
    """Read the layer's sizes; what is not said is as in `LlamaConfig`, where the published files leave it out.

    Raises:
        RunError: HEADS_UNREADABLE, for what is no configuration, or for a layer of another kind.
    """
    make: type[PretrainedConfig] = Qwen3Config if said.get("model_type") == "qwen3" else LlamaConfig
    try:
        config = make.from_dict({key: one for key, one in said.items() if key not in ("model_type", "torch_dtype")})
    except (StrictDataclassError, TypeError, ValueError, KeyError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise unreadable(folder, f"config.json: {lines[-1] if lines else type(error).__name__}") from error
    rope = {key: one for key, one in dict(config.rope_parameters or {}).items() if key != "type"}
    if rope.get("rope_type") in _GROWING:
        reason = f"its rotary embedding ({rope['rope_type']}) follows the longest text of a batch"
        raise unreadable(folder, reason)
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise unreadable(folder, "its layer rotates only a part of each query and key")
    if config.hidden_act != "silu":
        raise unreadable(folder, f"its layer has the activation {config.hidden_act!r}, and not 'silu'")
    if said.get("num_hidden_layers", 1) != 1:
        raise unreadable(folder, f"it has {said['num_hidden_layers']} decoder layers, and not one")
    return Decoder(
        hidden=config.hidden_size,
        vocab=config.vocab_size,
        heads=config.num_attention_heads,
        key_heads=config.num_key_value_heads or config.num_attention_heads,
        head_dim=config.head_dim or config.hidden_size // config.num_attention_heads,
        inner=config.intermediate_size,
        eps=config.rms_norm_eps,
        rope=rope,
        max_positions=config.max_position_embeddings,
    )


def layer_shapes(layer: Decoder, prefix: str, *, inputs: int) -> tuple[Shapes, Shapes]:
    """Shapes of the tensors that every layer has, and of those that some have.

    Args:
        layer: its sizes.
        prefix: what their names begin with.
        inputs: size of what queries, keys and values are made of.
    """
    hidden, inner = layer.hidden, layer.inner
    sizes = {"q": layer.heads * layer.head_dim, "k": layer.key_heads * layer.head_dim}
    sizes["v"] = sizes["k"]
    attention, mlp = f"{prefix}.self_attn", f"{prefix}.mlp"
    needed: dict[str, tuple[int, ...]] = {
        f"{prefix}.post_attention_layernorm.weight": (hidden,),
        **{f"{attention}.{one}_proj.weight": (size, inputs) for one, size in sizes.items()},
        f"{attention}.o_proj.weight": (hidden, sizes["q"]),
        f"{mlp}.gate_proj.weight": (inner, hidden),
        f"{mlp}.up_proj.weight": (inner, hidden),
        f"{mlp}.down_proj.weight": (hidden, inner),
    }
    optional: dict[str, tuple[int, ...]] = {
        **{f"{attention}.{one}_proj.bias": (size,) for one, size in sizes.items()},
        f"{attention}.o_proj.bias": (hidden,),
        f"{mlp}.gate_proj.bias": (inner,),
        f"{mlp}.up_proj.bias": (inner,),
        f"{mlp}.down_proj.bias": (hidden,),
        f"{attention}.q_norm.weight": (layer.head_dim,),
        f"{attention}.k_norm.weight": (layer.head_dim,),
    }
    return needed, optional
