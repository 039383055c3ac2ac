"""What heads with a decoder layer foresee, computed the long way: no cache, no tree, whole texts anew for each step.

Only the rotary embedding is transformers'; the rest is written from the published descriptions.
"""

import torch
import torch.nn.functional as F
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

HEADS, KEYS, SIZE = 4, 2, 4


def norm(x, weight, eps=1e-5):
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weight


def linear(tensors, name, x):
    product = x @ tensors[f"{name}.weight"].T
    return product + tensors[f"{name}.bias"] if f"{name}.bias" in tensors else product


def layer(tensors, prefix, x, residual, theta=100.0):
    """Attention over `x`, added to `residual`, then the MLP; `[positions, size]`."""
    length = len(x)

    def heads(which, count):
        made = linear(tensors, f"{prefix}.self_attn.{which}_proj", x).view(length, count, SIZE)
        name = f"{prefix}.self_attn.{which}_norm.weight"
        return norm(made, tensors[name]) if name in tensors else made

    config = LlamaConfig(
        hidden_size=HEADS * SIZE,
        num_attention_heads=HEADS,
        rope_parameters={"rope_type": "default", "rope_theta": theta},
    )
    cos, sin = LlamaRotaryEmbedding(config)(x, torch.arange(length)[None])
    q, k, v = (heads(which, count).transpose(0, 1)[None] for which, count in (("q", HEADS), ("k", KEYS), ("v", KEYS)))
    q, k = apply_rotary_pos_emb(q, k, cos, sin)
    k, v = (one.repeat_interleave(HEADS // KEYS, 1) for one in (k, v))
    scores = (q @ k.transpose(2, 3)) / SIZE**0.5
    scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf)
    mixed = (scores.softmax(-1) @ v)[0].transpose(0, 1).reshape(length, -1)
    x = residual + linear(tensors, f"{prefix}.self_attn.o_proj", mixed)
    normed = norm(x, tensors[f"{prefix}.post_attention_layernorm.weight"])
    gate, up = (linear(tensors, f"{prefix}.mlp.{one}_proj", normed) for one in ("gate", "up"))
    return x + linear(tensors, f"{prefix}.mlp.down_proj", F.silu(gate) * up)


def foreseen(step, logits, states, ids, count):
    """The distributions of a greedy chain of `count` tokens behind `ids`, over what can be drafted.

    Args:
        step: from embeddings' tokens and states at all positions to what the head leaves there.
        logits: from what it leaves to logits over the target's tokens.
        states: the target's at all positions of `ids` but the last.
        ids: prompt and answer.
        count: how many.
    """
    ids, laws = list(ids), []
    for _ in range(count):
        left = step(torch.tensor(ids[1:]), states)
        laws.append(logits(left[-1]).softmax(-1))
        states = torch.cat((states, left[-1:]))
        ids.append(int(laws[-1].argmax()))
    return laws
