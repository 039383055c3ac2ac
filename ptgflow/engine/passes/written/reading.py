"""Reads a written-out model from transformers' modules, layer by layer; each module gives its weights away."""

import math
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.activations import ACT2FN

from ptgflow.engine.passes.attention import AttentionPattern
from ptgflow.engine.passes.linear import Linear, MakeLinear
from ptgflow.engine.passes.written.weights import WrittenLayer, WrittenModel

_PLAIN: Final = frozenset({"llama", "mistral", "qwen2", "qwen3"})
_GEMMA: Final = frozenset({"gemma", "gemma3_text"})
"""Norms multiply by 1 + weight, and embeddings are scaled."""


def reason_against(network: PreTrainedModel) -> str | None:
    """Why a model cannot be written out; None when it can."""
    config = network.config
    if config.model_type not in _PLAIN | _GEMMA:
        return f"the architecture {config.model_type!r} is not written out"
    if getattr(config, "attn_logit_softcapping", None) is not None:
        return "it caps attention scores before the softmax, which fused attention cannot express"
    if config._attn_implementation != "sdpa":
        return f"attention {config._attn_implementation!r} was asked for, and the written-out pass is fused"
    return None


def written_out(
    network: PreTrainedModel,
    make: MakeLinear,
    make_head: MakeLinear,
    dtype: torch.dtype,
    *,
    embedding: Tensor | None = None,
) -> WrittenModel:
    """Take the weights of a model for which `reason_against` has none.

    The network is of no use afterwards: a module gives up its weights as soon as they are laid out anew, so that hardly
    more than one copy of them is in memory at any time.

    Args:
        network: of the Llama, Mistral, Qwen or Gemma family.
        make: how products are made.
        make_head: how the product that gives logits is made.
        dtype: of activations, keys and values.
        embedding: to be used in place of the network's own; it holds the same numbers.
    """
    config, decoder = network.config, network.model
    offset = 1.0 if config.model_type in _GEMMA else 0.0
    first = decoder.layers[0].self_attn
    heads, key_heads = config.num_attention_heads, config.num_key_value_heads
    scale = float(first.scaling)
    pattern = AttentionPattern.of(config, config.model_type)
    # The output matrix first: where it is the embedding, too, that stays, and nothing is lost by reading it early.
    head = make_head(network.lm_head.weight.detach(), network.lm_head.bias)
    table: Tensor = decoder.embed_tokens.weight.detach() if embedding is None else embedding
    network.lm_head.weight = decoder.embed_tokens.weight = None
    layers = tuple(
        _layer(layer, kind, make, _Norms(offset, dtype), heads, key_heads)
        for layer, kind in zip(decoder.layers, pattern.kinds, strict=True)
    )
    return WrittenModel(
        layers=layers,
        embedding=table,
        embedding_scale=math.sqrt(config.hidden_size) if config.model_type in _GEMMA else 1.0,
        final_norm=_Norms(offset, dtype).factor(decoder.norm),
        head=head,
        rotary=decoder.rotary_emb,
        rotary_by_kind=config.model_type == "gemma3_text",
        pattern=pattern,
        heads=heads,
        key_heads=key_heads,
        size=first.head_dim,
        scale=scale,
        eps=config.rms_norm_eps,
        activation=ACT2FN[getattr(config, "hidden_activation", None) or config.hidden_act],
        soft_cap=getattr(config, "final_logit_softcapping", None),
        dtype=dtype,
    )


def _layer(layer: Any, kind: str, make: MakeLinear, norms: "_Norms", heads: int, key_heads: int) -> WrittenLayer:
    attention, mlp, factor = layer.self_attn, layer.mlp, norms.factor
    # Gemma 3 has four norms; the others call the one before the MLP "post attention".
    four = hasattr(layer, "pre_feedforward_layernorm")
    head_norm = None
    if hasattr(attention, "q_norm"):
        query, key = factor(attention.q_norm), factor(attention.k_norm)
        head_norm = torch.cat([query.expand(heads, -1), key.expand(key_heads, -1)])
    return WrittenLayer(
        kind=kind,
        before_attention=factor(layer.input_layernorm),
        qkv=_merged(make, attention.q_proj, attention.k_proj, attention.v_proj),
        head_norm=head_norm,
        out=_merged(make, attention.o_proj),
        after_attention=factor(layer.post_attention_layernorm) if four else None,
        before_mlp=factor(layer.pre_feedforward_layernorm if four else layer.post_attention_layernorm),
        gate_up=_merged(make, mlp.gate_proj, mlp.up_proj),
        down=_merged(make, mlp.down_proj),
        after_mlp=factor(layer.post_feedforward_layernorm) if four else None,
    )


def _merged(make: MakeLinear, *modules: Any) -> Linear:
    """One product for several that read the same input."""
    weights = [module.weight.detach() for module in modules]
    biases = [None if module.bias is None else module.bias.detach() for module in modules]
    bias = None
    if any(one is not None for one in biases):
        # Qwen 2 has a bias on some of them.
        zeros = [
            weight.new_zeros(weight.shape[0]) if one is None else one
            for weight, one in zip(weights, biases, strict=True)
        ]
        bias = torch.cat(zeros)
    made = make(weights[0] if len(weights) == 1 else torch.cat(weights), bias)
    for module in modules:
        module.weight = None
    return made


@dataclass(frozen=True, slots=True)
class _Norms:
    """How factors of norms are read."""

    offset: float
    dtype: torch.dtype

    def factor(self, norm: Any) -> Tensor:
        weight: Tensor = norm.weight.detach().to(self.dtype)
        return weight + self.offset if self.offset else weight
