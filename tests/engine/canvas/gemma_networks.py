"""Small random models of DiffusionGemma's layout, and how transformers asks one row of them."""

import torch
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

from ptgflow.engine.randomness import Purpose, uniform


def tiny_gemma(vocab, *, window=6, attention="sdpa"):
    text = {
        "vocab_size": vocab,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "global_head_dim": 16,
        "num_global_key_value_heads": 1,
        "num_experts": 4,
        "top_k_experts": 2,
        "moe_intermediate_size": 16,
        "layer_types": ["sliding_attention", "full_attention"],
        "sliding_window": window,
        "max_position_embeddings": 128,
        "initializer_range": 0.3,
    }
    vision = {"model_type": "gemma4_vision", "num_hidden_layers": 1, "hidden_size": 8, "intermediate_size": 8}
    vision |= {"num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 8, "position_embedding_size": 8}
    config = DiffusionGemmaConfig(text_config=text, vision_config=vision, canvas_length=8)
    torch.manual_seed(4)
    network = DiffusionGemmaForBlockDiffusion(config).eval().requires_grad_(False)
    network.set_attn_implementation(attention)
    return network


def noisy_logits(network, prompt, canvas, block, said, passes, *, seed):
    """One pass over one row, with caches and masks as transformers makes them; what was read is read anew."""
    text = [*prompt, *canvas[: block.start]]
    noisy = [
        int(uniform(seed, place, Purpose.DRAFT, passes) * network.config.text_config.vocab_size)
        if canvas[place] is None
        else canvas[place]
        for place in block
    ]
    more = {} if said is None else {"self_conditioning_logits": said}
    return network(input_ids=torch.tensor([text]), decoder_input_ids=torch.tensor([noisy]), **more).logits
