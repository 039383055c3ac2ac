"""Random heads for the tiny model, in folders with the names of tensors and settings of the published formats."""

import json

import torch
from safetensors.torch import save_file

HIDDEN, VOCAB, DRAFTED = 16, 271, 90
LAYER = {
    "hidden_size": HIDDEN,
    "vocab_size": VOCAB,
    "intermediate_size": 24,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 1,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 100.0,
    "max_position_embeddings": 512,
}
OFFSETS = torch.arange(3, 3 + 2 * DRAFTED, 2) - torch.arange(DRAFTED)


def randomly(shapes):
    torch.manual_seed(5)
    return {
        name: 1 + 0.2 * torch.randn(shape) if name.endswith("norm.weight") else 0.3 * torch.randn(shape)
        for name, shape in shapes.items()
    }


def layer_of(prefix, *, inputs=HIDDEN, inner=24, keys=8):
    return {
        f"{prefix}.self_attn.q_proj.weight": (HIDDEN, inputs),
        f"{prefix}.self_attn.k_proj.weight": (keys, inputs),
        f"{prefix}.self_attn.v_proj.weight": (keys, inputs),
        f"{prefix}.self_attn.o_proj.weight": (HIDDEN, HIDDEN),
        f"{prefix}.mlp.gate_proj.weight": (inner, HIDDEN),
        f"{prefix}.mlp.up_proj.weight": (inner, HIDDEN),
        f"{prefix}.mlp.down_proj.weight": (HIDDEN, inner),
        f"{prefix}.post_attention_layernorm.weight": (HIDDEN,),
    }


def medusa(heads=3, layers=1):
    shapes = {}
    for head in range(heads):
        for block in range(layers):
            shapes[f"{head}.{block}.linear.weight"] = (HIDDEN, HIDDEN)
            shapes[f"{head}.{block}.linear.bias"] = (HIDDEN,)
        shapes[f"{head}.{layers}.weight"] = (VOCAB, HIDDEN)
    config = {"medusa_num_heads": 2, "medusa_num_layers": layers, "base_model_name_or_path": "someone/tiny"}
    return config, randomly(shapes)


def eagle(*, bias=True):
    shapes = {**layer_of("layers.0"), "fc.weight": (HIDDEN, 2 * HIDDEN), **({"fc.bias": (HIDDEN,)} if bias else {})}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **LAYER,
        **({} if bias else {"bias": False}),
    }
    return config, randomly(shapes)


def eagle3(prefix="midlayer", *, taps):
    shapes = {
        **layer_of(prefix, inputs=2 * HIDDEN),
        f"{prefix}.input_layernorm.weight": (HIDDEN,),
        f"{prefix}.hidden_norm.weight": (HIDDEN,),
        "fc.weight": (HIDDEN, 3 * HIDDEN),
        "norm.weight": (HIDDEN,),
        "lm_head.weight": (DRAFTED, HIDDEN),
    }
    config = {
        "architectures": ["LlamaForCausalLMEagle3"],
        "model_type": "llama",
        **LAYER,
        "draft_vocab_size": DRAFTED,
        "eagle_config": {"eagle_aux_hidden_state_layer_ids": taps, "use_aux_hidden_state": True},
    }
    members = torch.zeros(VOCAB, dtype=torch.bool)
    members[OFFSETS + torch.arange(DRAFTED)] = True
    return config, {**randomly(shapes), "d2t": OFFSETS, "t2d": members}


def speculators(kind, *, taps=None, **settings):
    """The two kinds of the library, with only those sizes that its files write: what differs from Llama's defaults."""
    made = {
        "speculators_model_type": kind,
        "transformer_layer_config": {key: one for key, one in LAYER.items() if key != "hidden_act"},
        "speculators_config": {
            "algorithm": kind,
            "proposal_methods": [{"proposal_type": "greedy", "speculative_tokens": 5}],
            "default_proposal_method": "greedy",
            "verifier": {"name_or_path": "someone/tiny", "architectures": ["LlamaForCausalLM"]},
        },
        **settings,
    }
    if kind == "eagle":
        _, tensors = eagle(bias=settings.get("fusion_bias", False))
        renamed = {
            name.replace("layers.0.", "transformer.").replace("fc.", "fusion_fc."): one for name, one in tensors.items()
        }
        return {**made, "transformer_layer_architecture": "LlamaDecoderLayer"}, renamed
    _, tensors = eagle3("layers.0", taps=taps)
    if settings.get("norm_before_fc"):
        tensors |= randomly({"input_norm.weight": (3 * HIDDEN,)})
    return {**made, "draft_vocab_size": DRAFTED, "eagle_aux_hidden_state_layer_ids": taps}, tensors


def write(folder, made, *, file="model.safetensors"):
    config, tensors = made
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if file.endswith(".safetensors"):
        save_file({name: one.contiguous() for name, one in tensors.items()}, folder / file)
    else:
        torch.save(tensors, folder / file)
    return folder
