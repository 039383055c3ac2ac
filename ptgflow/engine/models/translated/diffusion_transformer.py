"""MDLM (arXiv 2406.07524) and BD3-LM (arXiv 2503.09573): a diffusion transformer (DiT, arXiv 2212.09748).

Its layers are told a noise level, which for these models is always 0. What they make of it is a constant, which is
multiplied into their norms and products: layers of GPT-NeoX are left.
"""

from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.models.translated.names import Said, TranslationError, Weights

_PREFIX: Final = "backbone."
_WAVES: Final = 256
"""Numbers that say the noise level to the network: cosines, then sines."""


def settings(said: Said) -> dict[str, Any]:
    """Of GPTNeoXConfig.

    Raises:
        TranslationError: it is conditioned on time, or causal.
    """
    for name in ("time_conditioning", "causal"):
        if said.get(name):
            raise TranslationError(f"{name}=true makes its layers others than GPT-NeoX's")
    heads = said["n_heads"]
    return {
        "vocab_size": said["vocab_size"],
        "hidden_size": said["hidden_dim"],
        "intermediate_size": 4 * said["hidden_dim"],
        "num_hidden_layers": said["n_blocks"],
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": said["model_length"],
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 1.0},
        "use_parallel_residual": False,
        "tie_word_embeddings": False,
        "bos_token_id": said.get("bos_token_id"),
        "eos_token_id": said.get("eos_token_id"),
    }


def weights(stored: Weights, said: Said) -> Weights:
    """Weights of GPT-NeoX that compute the same; products of single precision."""
    own = {name.removeprefix(_PREFIX): weight.float() for name, weight in stored.items()}
    level = _told_of_no_noise(own) if said.get("adaln", True) else None
    heads: int = said["n_heads"]
    made: Weights = {
        "gpt_neox.embed_in.weight": own["vocab_embed.embedding"],
        "lm_head.weight": own["output_layer.linear.weight"],
        "lm_head.bias": own["output_layer.linear.bias"],
    }
    shift, scale = _modulation(own, "output_layer", own["output_layer.norm_final.weight"], level, 2)
    made |= _norm("gpt_neox.final_layer_norm", own["output_layer.norm_final.weight"], scale, shift)
    number = 0
    while f"blocks.{number}.norm1.weight" in own:
        made |= _layer(own, f"blocks.{number}", f"gpt_neox.layers.{number}", level, heads)
        number += 1
    return made


def _layer(own: Weights, block: str, layer: str, level: Float[Tensor, " told"] | None, heads: int) -> Weights:
    first_shift, first_scale, first_gate, then_shift, then_scale, then_gate = _modulation(
        own, block, own[f"{block}.norm1.weight"], level, 6
    )
    out, down = own[f"{block}.attn_out.weight"], own[f"{block}.mlp.2.weight"]
    joined = _by_head(own[f"{block}.attn_qkv.weight"], heads)
    return {
        **_norm(f"{layer}.input_layernorm", own[f"{block}.norm1.weight"], first_scale, first_shift),
        **_norm(f"{layer}.post_attention_layernorm", own[f"{block}.norm2.weight"], then_scale, then_shift),
        f"{layer}.attention.query_key_value.weight": joined,
        f"{layer}.attention.query_key_value.bias": joined.new_zeros(joined.shape[0]),
        f"{layer}.attention.dense.weight": first_gate[:, None] * out,
        f"{layer}.attention.dense.bias": out.new_zeros(out.shape[0]),
        f"{layer}.mlp.dense_h_to_4h.weight": own[f"{block}.mlp.0.weight"],
        f"{layer}.mlp.dense_h_to_4h.bias": own[f"{block}.mlp.0.bias"],
        f"{layer}.mlp.dense_4h_to_h.weight": then_gate[:, None] * down,
        f"{layer}.mlp.dense_4h_to_h.bias": then_gate * own[f"{block}.mlp.2.bias"],
    }


def _norm(
    name: str, weight: Float[Tensor, " size"], scale: Float[Tensor, " size"], shift: Float[Tensor, " size"]
) -> Weights:
    """A norm whose result is scaled by 1 + scale and shifted."""
    return {f"{name}.weight": weight * (1.0 + scale), f"{name}.bias": shift}


def _told_of_no_noise(own: Weights) -> Float[Tensor, " told"]:
    """What layers are told of noise level 0: of its cosines all are 1, and of its sines none is."""
    waves = torch.cat([torch.ones(_WAVES // 2), torch.zeros(_WAVES // 2)])
    first, then = "sigma_map.mlp.0", "sigma_map.mlp.2"
    inner = torch.nn.functional.linear(waves, own[f"{first}.weight"], own[f"{first}.bias"])
    told = torch.nn.functional.linear(torch.nn.functional.silu(inner), own[f"{then}.weight"], own[f"{then}.bias"])
    return torch.nn.functional.silu(told)


def _modulation(
    own: Weights, name: str, like: Float[Tensor, " size"], level: Float[Tensor, " told"] | None, parts: int
) -> tuple[Tensor, ...]:
    """What a layer makes of the noise level: shifts, scales and gates, by turns; of one that is not told, nothing."""
    if level is None:
        return tuple(torch.ones_like(like) if part % 3 == 2 else torch.zeros_like(like) for part in range(parts))
    weight, bias = own[f"{name}.adaLN_modulation.weight"], own[f"{name}.adaLN_modulation.bias"]
    return torch.nn.functional.linear(level, weight, bias).chunk(parts)


def _by_head(joined: Float[Tensor, "three_sizes size"], heads: int) -> Float[Tensor, "three_sizes size"]:
    """Rows of queries, keys and values, from all queries first to those of each head together."""
    size = joined.shape[1]
    return joined.view(3, heads, -1, size).transpose(0, 1).reshape(joined.shape)
