"""Small random models of every supported family, as transformers makes them."""

import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

VOCAB = 60
WINDOW = 7
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
MIXED = {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"], "sliding_window": WINDOW}
WRITTEN = {
    "llama": (LlamaForCausalLM, LlamaConfig, {}),
    "llama tied, with biases": (
        LlamaForCausalLM,
        LlamaConfig,
        {"tie_word_embeddings": True, "attention_bias": True, "num_key_value_heads": 4},
    ),
    "llama scaled": (
        LlamaForCausalLM,
        LlamaConfig,
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 1000.0,
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            }
        },
    ),
    "mistral": (MistralForCausalLM, MistralConfig, {"sliding_window": WINDOW}),
    "mistral without a window": (MistralForCausalLM, MistralConfig, {"sliding_window": None}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, {}),
    "qwen2 sliding": (
        Qwen2ForCausalLM,
        Qwen2Config,
        {"use_sliding_window": True, "max_window_layers": 1, "sliding_window": WINDOW},
    ),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, {}),
    "gemma": (GemmaForCausalLM, GemmaConfig, {}),
    "gemma3": (Gemma3ForCausalLM, Gemma3TextConfig, {**MIXED, "query_pre_attn_scalar": 16}),
}
"""Families that are written out."""
OTHERS = {
    "gemma2": (
        Gemma2ForCausalLM,
        Gemma2Config,
        {**MIXED, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0},
    ),
    "llama eager": (LlamaForCausalLM, LlamaConfig, {}),
}
"""Families, and settings, that only transformers' own modules compute."""


def random_network(family):
    """A network with weights that are all of its own, norms and biases among them."""
    build, configure, more = (WRITTEN | OTHERS)[family]
    attention = "eager" if family in OTHERS else "sdpa"
    torch.manual_seed(3)
    network = build(configure(**{**SIZES, **more}, attn_implementation=attention)).eval().requires_grad_(False)
    for weight in network.parameters():
        if weight.ndim == 1:
            weight += 0.1 * torch.randn_like(weight)
    return network
