"""A head's decoder layer laid out for the device, with what stands before and behind it in each layout."""

from collections.abc import Mapping
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.engine.heads.eagle import rotary_of
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.attention import FULL, AttentionPattern
from ptgflow.engine.passes.linear import Linear, MakeLinear
from ptgflow.engine.passes.precision import activation_dtype, linear_maker
from ptgflow.engine.passes.written.network import Network, paired
from ptgflow.engine.passes.written.weights import WrittenLayer, WrittenModel

_LAYER = "midlayer"


@final
class HeadNetwork:
    """What a head computes, but for attention over the slots of a cache, which is its drafter's."""

    def __init__(self, heads: Heads, model: LoadedModel) -> None:
        """Lay out the weights.

        Args:
            heads: with a decoder layer.
            model: the target, whose embedding and output matrix serve where the head has none of its own.
        """
        dtype = activation_dtype("float32" if model.dtype == "int8" else model.dtype, model.device)
        make = linear_maker("float32" if model.dtype == "int8" else model.dtype, model.device)
        tensors = {name: one.to(model.device) for name, one in heads.tensors.items()}
        norms = {name: one.to(dtype) for name, one in tensors.items() if name.endswith("norm.weight")}
        self._layout = heads.layout
        self._norms = norms
        self._fc = _product(make, tensors, "fc")
        self._own_embedding = tensors.get("embed_tokens.weight")
        self._target = model
        head = make(tensors["lm_head.weight"], None) if "lm_head.weight" in tensors else model.output
        self.network = Network(_written(heads, tensors, norms, make, head, dtype))
        """The layer; its passes are over the slots of `network.model.shape`."""

    def kept(self, states: Float[Tensor, "tokens features"]) -> Float[Tensor, "tokens kept"]:
        """What is kept of the target's states at a position."""
        states = states.to(self.network.model.dtype)
        if self._layout.joined:
            return states
        return self._fc(self._normed(states, "states_norm.weight"))

    def enter(
        self, ids: Int[Tensor, " tokens"], states: Float[Tensor, "tokens kept"]
    ) -> tuple[Float[Tensor, "tokens inputs"], Float[Tensor, "tokens hidden"]]:
        """What the layer's attention reads, and the residual beside it.

        Args:
            ids: the tokens that are read.
            states: what was kept of the target's states before them, or was left by an earlier step.
        """
        embedded = self._embedded(ids)
        if not self._layout.joined:
            normed = self._normed(states, f"{_LAYER}.hidden_norm.weight")
            inputs = torch.cat((self._normed(embedded, f"{_LAYER}.input_layernorm.weight"), normed), dim=-1)
            return inputs, normed if self._layout.normed_residual else states
        both = (self._normed(embedded, "embedding_norm.weight"), self._normed(states, "states_norm.weight"))
        x = self._fc(paired(torch.cat(both, dim=-1)))[: len(ids)]
        return self._normed(x, f"{_LAYER}.input_layernorm.weight"), x

    def leave(self, x: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "tokens hidden"]:
        """From the layer's output to what the next step reads, and logits are made of."""
        return self._normed(x, "norm.weight") if self._layout.feeds_normed else x

    def logits(self, left: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "tokens draft_vocab"]:
        """Over the tokens that can be drafted, in fp32."""
        normed = left if self._layout.feeds_normed else self._normed(left, "norm.weight")
        return self.network.model.head(paired(normed))[: len(left)].float()

    def _embedded(self, ids: Int[Tensor, " tokens"]) -> Float[Tensor, "tokens hidden"]:
        own = self._own_embedding
        found = self._target.embed(ids) if own is None else F.embedding(ids, own)
        return found.to(self.network.model.dtype)

    def _normed(self, x: Float[Tensor, "tokens size"], name: str) -> Float[Tensor, "tokens size"]:
        """The norm of that name, where the head has it."""
        factor = self._norms.get(name)
        return x if factor is None else F.rms_norm(x, factor.shape, factor, self.network.model.eps)


def _written(
    heads: Heads,
    tensors: Mapping[str, Tensor],
    norms: Mapping[str, Tensor],
    make: MakeLinear,
    head: Linear,
    dtype: torch.dtype,
) -> WrittenModel:
    """The head as a model of one layer."""
    config, attention, mlp = heads.config, f"{_LAYER}.self_attn", f"{_LAYER}.mlp"
    assert config.num_attention_heads, "the configuration was checked"
    assert config.num_key_value_heads, "the configuration was checked"
    assert config.head_dim, "the configuration was checked"
    before_mlp = norms[f"{_LAYER}.post_attention_layernorm.weight"]
    # Norms before and behind the layer, and the embedding, are applied above: the network is used for the layer alone.
    none = torch.ones_like(before_mlp)
    head_norm = None
    if f"{attention}.q_norm.weight" in norms:
        query, key = norms[f"{attention}.q_norm.weight"], norms[f"{attention}.k_norm.weight"]
        head_norm = torch.cat(
            [query.expand(config.num_attention_heads, -1), key.expand(config.num_key_value_heads, -1)]
        )
    layer = WrittenLayer(
        kind=FULL,
        before_attention=none,
        qkv=_product(make, tensors, *(f"{attention}.{one}_proj" for one in "qkv")),
        head_norm=head_norm,
        out=_product(make, tensors, f"{attention}.o_proj"),
        after_attention=None,
        before_mlp=before_mlp,
        gate_up=_product(make, tensors, f"{mlp}.gate_proj", f"{mlp}.up_proj"),
        down=_product(make, tensors, f"{mlp}.down_proj"),
        after_mlp=None,
    )
    return WrittenModel(
        layers=(layer,),
        embedding=none.new_empty(0, len(none)),
        embedding_scale=1.0,
        final_norm=none,
        head=head,
        rotary=rotary_of(config).to(before_mlp.device),
        rotary_by_kind=False,
        pattern=AttentionPattern(kinds=(FULL,), window=None),
        heads=config.num_attention_heads,
        key_heads=config.num_key_value_heads,
        size=config.head_dim,
        scale=config.head_dim**-0.5,
        eps=config.rms_norm_eps,
        activation=F.silu,
        soft_cap=None,
        dtype=dtype,
    )


def _product(make: MakeLinear, tensors: Mapping[str, Tensor], *names: str) -> Linear:
    """One product for several that read the same input; a bias that only some have is zero for the others."""
    weights = [tensors[f"{name}.weight"] for name in names]
    biases = [tensors.get(f"{name}.bias") for name in names]
    bias = None
    if any(one is not None for one in biases):
        zeros = [weight.new_zeros(len(weight)) for weight in weights]
        bias = torch.cat([zero if one is None else one for one, zero in zip(biases, zeros, strict=True)])
    return make(torch.cat(weights), bias)
