"""Small random checkpoints of public masked models, in the settings, names and files of each family."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import save_file

from ptgflow.contracts.masked_model import MaskedConventions
from ptgflow.engine.models.tiny import tiny_tokenizer
from tests.engine.canvas.masked_networks import random_network
from tests.engine.canvas.plain_dit import PlainDiT

WORDS = len(tiny_tokenizer())
MASK = WORDS
"""One more than the tokenizer has."""
CONTEXT = 128
MASK_WORD = "<|mask|>"

LLADA = {
    "architectures": ["LLaDAModelLM"],
    "activation_type": "silu",
    "alibi": False,
    "alibi_bias_max": 8.0,
    "attention_dropout": 0.0,
    "attention_layer_norm": False,
    "attention_layer_norm_with_affine": True,
    "auto_map": {
        "AutoConfig": "configuration_llada.LLaDAConfig",
        "AutoModel": "modeling_llada.LLaDAModelLM",
        "AutoModelForCausalLM": "modeling_llada.LLaDAModelLM",
    },
    "bias_for_layer_norm": False,
    "block_group_size": 1,
    "block_type": "llama",
    "d_model": 32,
    "embedding_dropout": 0.0,
    "embedding_size": WORDS + 1,
    "eos_token_id": 1,
    "flash_attention": False,
    "include_bias": False,
    "include_qkv_bias": False,
    "init_device": "meta",
    "input_emb_norm": False,
    "layer_norm_type": "rms",
    "layer_norm_with_affine": True,
    "mask_token_id": MASK,
    "max_sequence_length": CONTEXT,
    "mlp_hidden_size": 48,
    "mlp_ratio": 4,
    "model_type": "llada",
    "multi_query_attention": None,
    "n_heads": 4,
    "n_kv_heads": 2,
    "n_layers": 2,
    "pad_token_id": 1,
    "precision": "amp_bf16",
    "residual_dropout": 0.0,
    "rms_norm_eps": 1e-06,
    "rope": True,
    "rope_full_precision": True,
    "rope_theta": 10000.0,
    "scale_logits": False,
    "vocab_size": WORDS + 1,
    "weight_tying": False,
}
_LLADA_NAMES = {
    "model.embed_tokens": "wte",
    "model.norm": "ln_f",
    "lm_head": "ff_out",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "q_proj",
    "self_attn.k_proj": "k_proj",
    "self_attn.v_proj": "v_proj",
    "self_attn.o_proj": "attn_out",
    "post_attention_layernorm": "ff_norm",
    "mlp.gate_proj": "ff_proj",
    "mlp.up_proj": "up_proj",
    "mlp.down_proj": "ff_out",
}

MDLM = {
    "architectures": ["MDLM"],
    "auto_map": {"AutoConfig": "configuration_mdlm.MDLMConfig", "AutoModelForMaskedLM": "modeling_mdlm.MDLM"},
    "cond_dim": 24,
    "dropout": 0.1,
    "hidden_dim": 32,
    "model_length": CONTEXT,
    "model_type": "mdlm",
    "n_blocks": 2,
    "n_heads": 4,
    "time_conditioning": False,
    "torch_dtype": "float32",
    "vocab_size": WORDS + 1,
}
BD3LM = {
    **MDLM,
    "architectures": ["BD3LM"],
    "attn_backend": "flex",
    "auto_map": {"AutoConfig": "configuration_bd3lm.BD3LMConfig", "AutoModelForMaskedLM": "modeling_bd3lm.BD3LM"},
    "block_size": 4,
    "causal": False,
    "cross_attn": True,
    "model_type": "bd3lm",
    "var_min": True,
}


def llada(folder, **changes):
    """Weights of Llama under OLMo's names."""
    network = random_network("llama", WORDS + 1)
    tensors = {_olmo_name(name): weight.clone() for name, weight in network.state_dict().items()}
    if changes.get("weight_tying"):
        del tensors["model.transformer.ff_out.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    _settings(folder, LLADA | changes)
    tiny_tokenizer().save_pretrained(folder)
    return network


def _olmo_name(name):
    *layer, rest = name.removesuffix(".weight").replace("model.layers.", "").split(".", 1)
    if layer and layer[0].isdigit():
        return f"model.transformer.blocks.{layer[0]}.{_LLADA_NAMES[rest]}.weight"
    return f"model.transformer.{_LLADA_NAMES[name.removesuffix('.weight')]}.weight"


def of_qwen(folder, shape, kind, architecture, **more):
    """A checkpoint with the weights and names of Qwen's, the code of another, and a tokenizer in code."""
    network = random_network(shape, WORDS + 1)
    network.save_pretrained(folder)
    said = json.loads((folder / "config.json").read_text())
    file = kind.lower()
    code = {"AutoConfig": f"configuration_{file}.Config", "AutoModel": f"modeling_{file}.{architecture}"}
    _settings(folder, said | {"model_type": kind, "architectures": [architecture], "auto_map": code} | more)
    _qwen_tokenizer(folder, f"tokenization_{file}.Tokenizer")
    return network


def _qwen_tokenizer(folder, code):
    """`vocab.json` and `merges.txt` alone, as Dream has them."""
    backend = json.loads(tiny_tokenizer().backend_tokenizer.to_str())
    special = {word["content"] for word in backend["added_tokens"]}
    (folder / "vocab.json").write_text(json.dumps(backend["model"]["vocab"]))
    (folder / "merges.txt").write_text("\n".join(" ".join(pair) for pair in backend["model"]["merges"]) + "\n")
    added = {str(backend["model"]["vocab"][word]): _token(word) for word in special} | {str(MASK): _token(MASK_WORD)}
    said = {
        "added_tokens_decoder": added,
        "auto_map": {"AutoTokenizer": [code, None]},
        "bos_token": "<|bos|>",
        "eos_token": "<|eos|>",
        "mask_token": MASK_WORD,
        "pad_token": "<|eos|>",
        "unk_token": None,
        "tokenizer_class": code.rpartition(".")[2],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(said))


def _token(word):
    return {
        "content": word,
        "lstrip": False,
        "normalized": False,
        "rstrip": False,
        "single_word": False,
        "special": True,
    }


def dit(folder, said=MDLM):
    """A diffusion transformer; its mask is known only to its card."""
    network = PlainDiT(said).eval().requires_grad_(False)
    tensors = {f"backbone.{name}": weight.clone() for name, weight in network.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    _settings(folder, said)
    tiny_tokenizer().save_pretrained(folder)
    return network


def adapted_llama(folder):
    """DiffuLLaMA: nothing in its settings tells what it is."""
    network = random_network("llama", WORDS + 1)
    network.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return network


def _settings(folder, said):
    (folder / "config.json").write_text(json.dumps(said))


@dataclass(frozen=True)
class Family:
    """How a folder is made, and how its models are asked."""

    make: object
    conventions: MaskedConventions
    overrides: tuple[str, ...] = ()
    """Of the card."""
    arguments: dict = field(default_factory=dict)

    def folder(self, path: Path):
        """Write one; the network whose weights it has, for a reference."""
        path.mkdir(parents=True, exist_ok=True)
        return self.make(path, **self.arguments)


_MASK = (f"model.masked.mask_id={MASK}",)
_BLOCKS = {"attention": "block_causal", "block_length": 4}
FAMILIES = {
    "llada": Family(llada, MaskedConventions(mask_id=MASK)),
    "dream": Family(
        of_qwen,
        MaskedConventions(mask_id=MASK, shifted=True),
        arguments={"shape": "qwen2", "kind": "Dream", "architecture": "DreamModel", "mask_token_id": MASK},
    ),
    "sdar": Family(
        of_qwen,
        MaskedConventions(mask_id=MASK, **_BLOCKS),
        overrides=_MASK,
        arguments={"shape": "qwen3", "kind": "sdar", "architecture": "SDARForCausalLM", "block_size": 4},
    ),
    "fast_dllm_v2": Family(
        of_qwen,
        MaskedConventions(mask_id=MASK, shifted=True, **_BLOCKS),
        overrides=_MASK,
        arguments={
            "shape": "qwen2",
            "kind": "Fast_dLLM_Qwen",
            "architecture": "Fast_dLLM_QwenForCausalLM",
            "bd_size": 4,
        },
    ),
    "tiny_a2d": Family(
        of_qwen,
        MaskedConventions(mask_id=MASK),
        arguments={"shape": "qwen3", "kind": "a2d-qwen3", "architecture": "A2DQwen3LMHeadModel"},
    ),
    "mdlm": Family(dit, MaskedConventions(mask_id=MASK), overrides=_MASK),
    "bd3lm": Family(dit, MaskedConventions(mask_id=MASK, **_BLOCKS), overrides=_MASK, arguments={"said": BD3LM}),
    "diffullama": Family(
        adapted_llama,
        MaskedConventions(mask_id=MASK, shifted=True),
        overrides=(*_MASK, "model.masked.shifted=true"),
    ),
}
