"""Small random checkpoints with prediction modules, in the names and settings of the public ones."""

import json

import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from ptgflow.engine.models.tiny import tiny_tokenizer
from tests.engine.public_heads import HIDDEN, VOCAB, layer_of, randomly

MIMO = {
    "architectures": ["MiMoForCausalLM"],
    "attention_bias": True,
    "attention_dropout": 0.0,
    "auto_map": {
        "AutoConfig": "configuration_mimo.MiMoConfig",
        "AutoModel": "modeling_mimo.MiMoModel",
        "AutoModelForCausalLM": "modeling_mimo.MiMoForCausalLM",
    },
    "head_dim": 4,
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "initializer_range": 0.3,
    "intermediate_size": 24,
    "max_position_embeddings": 512,
    "max_window_layers": 3,
    "model_type": "mimo",
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "num_key_value_heads": 2,
    "num_nextn_predict_layers": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 640.0,
    "sliding_window": 512,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "use_cache": True,
    "use_mrope": False,
    "use_sliding_window": False,
    "vocab_size": VOCAB,
    "eos_token_id": 1,
    "bos_token_id": 0,
}


def mimo_module(number=0):
    prefix = f"model.mtp_layers.{number}"
    norms = ("input_layernorm", "token_layernorm", "hidden_layernorm", "final_layernorm")
    return randomly(
        {
            **layer_of(prefix),
            **{f"{prefix}.self_attn.{one}_proj.bias": (size,) for one, size in (("q", 16), ("k", 8), ("v", 8))},
            **{f"{prefix}.{one}.weight": (HIDDEN,) for one in norms},
            f"{prefix}.input_proj.weight": (HIDDEN, 2 * HIDDEN),
        }
    )


def mimo(folder, *, changes=None, drop=()):
    """MiMo: the network and its tensors."""
    torch.manual_seed(4)
    asked = {key: one for key, one in MIMO.items() if key not in ("model_type", "auto_map", "architectures")}
    network = Qwen2ForCausalLM(Qwen2Config(**asked)).eval()
    with torch.no_grad():
        for one in network.parameters():
            if one.ndim == 1:
                one += 0.2 * torch.randn_like(one)
    network.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    module = {name: one for name, one in mimo_module().items() if name not in drop} | (changes or {})
    save_file({**load_file(folder / "model.safetensors"), **module}, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(MIMO))
    return network, module
