"""A diffusion transformer as its paper and MDLM's code describe it, written out for comparison."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class PlainDiT(nn.Module):
    """Names of weights are those of published checkpoints, without the prefix."""

    def __init__(self, said):
        super().__init__()
        torch.manual_seed(11)
        size, told = said["hidden_dim"], said["cond_dim"] if said.get("adaln", True) else None
        self.heads = said["n_heads"]
        self.vocab_embed = nn.Module()
        self.vocab_embed.embedding = nn.Parameter(torch.randn(said["vocab_size"], size))
        if told is not None:
            self.sigma_map = nn.Module()
            self.sigma_map.mlp = nn.Sequential(nn.Linear(256, told), nn.SiLU(), nn.Linear(told, told))
        self.blocks = nn.ModuleList(_block(size, told) for _ in range(said["n_blocks"]))
        self.output_layer = nn.Module()
        self.output_layer.norm_final = _norm(size)
        self.output_layer.linear = nn.Linear(size, said["vocab_size"])
        if told is not None:
            self.output_layer.adaLN_modulation = nn.Linear(told, 2 * size)
        for weight in self.parameters():
            weight.data += (0.3 if weight.ndim == 1 else 0.6) * torch.randn_like(weight)

    def forward(self, tokens, visible):
        states, told = self.vocab_embed.embedding[tokens], self._told()
        for block in self.blocks:
            shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = _modulation(block, told, 6)
            states = states + gate * self._attend(block, _normed(block.norm1, states) * (1 + scale) + shift, visible)
            states = states + gate_mlp * block.mlp(_normed(block.norm2, states) * (1 + scale_mlp) + shift_mlp)
        shift, scale = _modulation(self.output_layer, told, 2)
        return self.output_layer.linear(_normed(self.output_layer.norm_final, states) * (1 + scale) + shift)

    def _told(self):
        """Noise level 0, in waves."""
        if not hasattr(self, "sigma_map"):
            return None
        waves = torch.zeros(1, 1) * torch.exp(-math.log(10000) * torch.arange(128) / 128)
        return F.silu(self.sigma_map.mlp(torch.cat([waves.cos(), waves.sin()], dim=-1)))

    def _attend(self, block, states, visible):
        length, size = states.shape
        query, key, value = block.attn_qkv(states).view(length, 3, self.heads, -1).unbind(1)
        query, key = _turned(query), _turned(key)
        scores = torch.einsum("qhd,khd->hqk", query, key) / math.sqrt(query.shape[-1])
        weights = scores.masked_fill(~visible, -math.inf).softmax(dim=-1)
        return block.attn_out(torch.einsum("hqk,khd->qhd", weights, value).reshape(length, size))


def _block(size, told):
    block = nn.Module()
    block.norm1, block.norm2 = _norm(size), _norm(size)
    block.attn_qkv, block.attn_out = nn.Linear(size, 3 * size, bias=False), nn.Linear(size, size, bias=False)
    block.mlp = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(approximate="tanh"), nn.Linear(4 * size, size))
    if told is not None:
        block.adaLN_modulation = nn.Linear(told, 6 * size)
    return block


def _modulation(module, told, parts):
    if told is None:
        return (0, 0, 1, 0, 0, 1)[:parts]
    return module.adaLN_modulation(told).chunk(parts, dim=-1)


def _norm(size):
    norm = nn.Module()
    norm.weight = nn.Parameter(torch.ones(size))
    return norm


def _normed(norm, states):
    return F.layer_norm(states, states.shape[-1:]) * norm.weight


def _turned(states):
    """Rotary embedding, the first half of a head's numbers against the second."""
    length, _, size = states.shape
    angles = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, size, 2) / size)
    cos, sin = (torch.cat([one, one], dim=-1)[:, None] for one in (angles.cos(), angles.sin()))
    first, second = states.chunk(2, dim=-1)
    return states * cos + torch.cat([-second, first], dim=-1) * sin
