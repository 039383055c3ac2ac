"""Gated LoRA: mask tokens behind the text, which the target fills with adapters that only they meet (arXiv 2507.11851).

A mask token stands where a token of the text will stand, and attends to the text and to the masks before it. The
adapters are off for the text, so the target says what it always said.
"""

import math
from typing import Final, cast, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ptgflow.engine.heads.config import HeadConfig

SCALE: Final = 2.0
"""What adapters add is multiplied by this: alpha is twice the rank, as is usual."""


def adapted(config: HeadConfig) -> dict[str, tuple[int, int]]:
    """The products of a layer that have an adapter: name -> inputs and outputs."""
    hidden, inner, size = config.base.hidden_size, config.intermediate_size or 0, config.head_dim or 0
    queries, keys = size * (config.num_attention_heads or 0), size * (config.num_key_value_heads or 0)
    return {
        "self_attn.q_proj": (hidden, queries),
        "self_attn.k_proj": (hidden, keys),
        "self_attn.v_proj": (hidden, keys),
        "self_attn.o_proj": (queries, hidden),
        "mlp.gate_proj": (hidden, inner),
        "mlp.up_proj": (hidden, inner),
        "mlp.down_proj": (inner, hidden),
    }


@final
class Adapter(nn.Module):
    """What is added to a product for mask tokens: B A x, of a low rank; nothing before training."""

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.lora_A = nn.Linear(inputs, rank, bias=False)
        self.lora_B = nn.Linear(rank, outputs, bias=False)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Float[Tensor, "*tokens inputs"]) -> Float[Tensor, "*tokens outputs"]:
        """What is added for these inputs."""
        return cast("Tensor", self.lora_B(self.lora_A(x))) * SCALE


def adapter_layers(config: HeadConfig, rank: int) -> nn.ModuleList:
    """For each layer of the base an adapter at every product, by the names of the products."""
    layers = nn.ModuleList(nn.Module() for _ in range(config.base.layers))
    for layer in layers:
        for name, (inputs, outputs) in adapted(config).items():
            part, product = name.split(".")
            if not hasattr(layer, part):
                layer.add_module(part, nn.Module())
            layer.get_submodule(part).add_module(product, Adapter(inputs, outputs, rank))
    return layers


@final
class SamplerBlock(nn.Module):
    """Norm(SiLU(W x + b))."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: Float[Tensor, "*tokens inputs"]) -> Float[Tensor, "*tokens outputs"]:
        """Transform."""
        return cast("Tensor", self.norm(F.silu(self.linear(x))))


@final
class GatedLoraNet(nn.Module):
    """What is trained: the masks' embeddings, the adapters of all layers, and the sampler.

    Mask i, behind a text that ends at position t, stands at t + 1 + i and foresees the token at t + 2 + i. The sampler
    turns its state into one that the output matrix reads, given the token before, so that drafted tokens fit together.
    Names of adapters are those of PEFT; the authors have published no checkpoint.
    """

    def __init__(self, config: HeadConfig) -> None:
        """Make adapters that do nothing yet."""
        super().__init__()
        size, rank = config.base.hidden_size, config.rank
        assert rank, "adapters have a rank"
        self.config = config
        self.masks = nn.Parameter(torch.randn(config.heads, size))
        self.layers = adapter_layers(config, rank)
        self.sampler = nn.Sequential(SamplerBlock(2 * size, size), SamplerBlock(size, size))

    def sampled(
        self, embedded: Float[Tensor, "*tokens hidden"], states: Float[Tensor, "*tokens hidden"]
    ) -> Float[Tensor, "*tokens hidden"]:
        """What the output matrix reads, of the embeddings of the tokens before and the states of masks."""
        return cast("Tensor", self.sampler(torch.cat((embedded, states), dim=-1)))
