"""The weights of a written-out model, in the form in which its pass reads them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.passes.attention import AttentionPattern
from ptgflow.engine.passes.linear import Linear
from ptgflow.engine.slots import KeyValueShape

Norm = Float[Tensor, " hidden"]
"""The factor of an RMS norm, with Gemma's + 1 in it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WrittenLayer:
    """One decoder layer."""

    kind: str
    before_attention: Norm
    qkv: Linear
    head_norm: Float[Tensor, "heads head_size"] | None
    """Factors of the norms of queries and keys (Qwen 3, Gemma 3), a row for each query head, then each key head."""
    out: Linear
    after_attention: Norm | None
    """Before the sum with the residual (Gemma 3)."""
    before_mlp: Norm
    gate_up: Linear
    down: Linear
    after_mlp: Norm | None
    """Before the sum with the residual (Gemma 3)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WrittenModel:
    """A model without its transformers modules: those have given their weights away."""

    layers: tuple[WrittenLayer, ...]
    embedding: Float[Tensor, "vocab hidden"]
    embedding_scale: float
    final_norm: Norm
    head: Linear
    rotary: torch.nn.Module
    """transformers' own: `rotary(x, positions)`, or with the kind of layer behind where kinds differ."""
    rotary_by_kind: bool
    pattern: AttentionPattern
    heads: int
    key_heads: int
    size: int
    scale: float
    """What attention scores are multiplied with."""
    eps: float
    activation: Callable[[Tensor], Tensor]
    soft_cap: float | None
    """Logits are squeezed into (-cap, cap) by a tanh (Gemma 2)."""
    dtype: torch.dtype
    """Of activations, keys and values."""
    mask: Float[Tensor, " hidden"] | None = None
    """What the first layer reads for a hole, whose id is the number of tokens; None: the model has no holes."""

    @property
    def nbytes(self) -> int:
        """Memory of all weights. An embedding that a file is mapped to counts in full."""
        linears = [one for layer in self.layers for one in (layer.qkv, layer.out, layer.gate_up, layer.down)]
        return sum(one.nbytes for one in (*linears, self.head)) + self.embedding.nbytes

    @property
    def shape(self) -> KeyValueShape:
        """What one token leaves behind."""
        return KeyValueShape(
            layers=len(self.layers),
            heads=self.key_heads,
            size=self.size,
            dtype=self.dtype,
            device=self.final_norm.device,
        )
