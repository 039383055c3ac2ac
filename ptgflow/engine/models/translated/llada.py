"""LLaDA (arXiv 2502.09992): Llama's layers under the names of OLMo, whose code it was made with."""

import re
from typing import Any, Final

from ptgflow.engine.models.translated.names import Said, TranslationError, Weights

_SAME: Final[dict[str, Any]] = {
    "block_type": "llama",
    "activation_type": "silu",
    "layer_norm_type": "rms",
    "rope": True,
    "alibi": False,
    "attention_layer_norm": False,
    "include_bias": False,
    "include_qkv_bias": False,
    "bias_for_layer_norm": False,
    "input_emb_norm": False,
    "scale_logits": False,
}
"""Settings with which its layers are Llama's."""
_NAMES: Final = {
    "wte": "model.embed_tokens",
    "ln_f": "model.norm",
    "ff_out": "lm_head",
    "attn_norm": "input_layernorm",
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "attn_out": "self_attn.o_proj",
    "ff_norm": "post_attention_layernorm",
    "ff_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "blocks.ff_out": "mlp.down_proj",
}
_WEIGHT: Final = re.compile(r"model\.transformer\.(?:(?P<block>blocks)\.(?P<layer>\d+)\.)?(?P<name>\w+)\.weight")


def settings(said: Said) -> dict[str, Any]:
    """Of LlamaConfig.

    Raises:
        TranslationError: its layers are not Llama's.
    """
    for name, same in _SAME.items():
        # Some are null where they mean no.
        if name in said and (said[name] or False) != same:
            raise TranslationError(f"{name}={said[name]!r} makes its layers others than Llama's")
    size, heads = said["d_model"], said["n_heads"]
    return {
        "vocab_size": said.get("embedding_size") or said["vocab_size"],
        "hidden_size": size,
        "intermediate_size": said.get("mlp_hidden_size") or said["mlp_ratio"] * size,
        "num_hidden_layers": said["n_layers"],
        "num_attention_heads": heads,
        "num_key_value_heads": 1 if said.get("multi_query_attention") else said.get("n_kv_heads") or heads,
        "max_position_embeddings": said["max_sequence_length"],
        "rms_norm_eps": said.get("rms_norm_eps", 1e-5),
        "rope_theta": said.get("rope_theta", 10_000.0),
        "tie_word_embeddings": bool(said.get("weight_tying")),
        "bos_token_id": said.get("bos_token_id"),
        "eos_token_id": said.get("eos_token_id"),
        "pad_token_id": said.get("pad_token_id"),
    }


def weights(stored: Weights, said: Said) -> Weights:
    """The same weights under Llama's names; one that has no name there keeps its own."""
    del said
    return {_llama_name(name): weight for name, weight in stored.items()}


def _llama_name(name: str) -> str:
    found = _WEIGHT.fullmatch(name)
    if found is None:
        return name
    # The product at the end of the model has the name of that at the end of a layer.
    last = found["block"] is not None and found["name"] == "ff_out"
    word = _NAMES.get("blocks.ff_out" if last else found["name"])
    if word is None:
        return name
    return f"{word}.weight" if found["layer"] is None else f"model.layers.{found['layer']}.{word}.weight"
