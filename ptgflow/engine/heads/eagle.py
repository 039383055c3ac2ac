"""The EAGLE-3 head: one decoder layer over low, middle and high states of the target (Li et al., arXiv 2503.01840).

At position t it reads the target's states there and the embedding of the token at t + 1, and foresees the token at
t + 2. Further ahead, where the target has not been yet, it reads its own output in place of the states.
"""

from typing import Any, final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from ptgflow.engine.heads.config import HeadConfig

Past = list[tuple[Tensor, Tensor]]
"""Keys and values of each step so far, `[batch, key_heads, positions, size]`."""


@final
class _Norm(nn.RMSNorm):
    """In fp32, whatever precision the rest is trained in."""

    def forward(self, x: Float[Tensor, "*tokens hidden"]) -> Float[Tensor, "*tokens hidden"]:
        return F.rms_norm(x.float(), self.normalized_shape, self.weight.float(), self.eps).to(x.dtype)


@final
class _Attention(nn.Module):
    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        hidden, size = config.base.hidden_size, config.head_dim
        heads, key_heads = config.num_attention_heads, config.num_key_value_heads
        assert heads, "the layer has attention"
        assert key_heads, "the layer has attention"
        assert size, "the layer has attention"
        self.q_proj = nn.Linear(2 * hidden, heads * size, bias=False)
        self.k_proj = nn.Linear(2 * hidden, key_heads * size, bias=False)
        self.v_proj = nn.Linear(2 * hidden, key_heads * size, bias=False)
        self.o_proj = nn.Linear(heads * size, hidden, bias=False)


@final
class _Mlp(nn.Module):
    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        hidden, inner = config.base.hidden_size, config.intermediate_size
        assert inner, "the layer has an MLP"
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: Float[Tensor, "*tokens hidden"]) -> Float[Tensor, "*tokens hidden"]:
        down: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return down


@final
class _Layer(nn.Module):
    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        hidden, eps = config.base.hidden_size, config.rms_norm_eps
        self.self_attn = _Attention(config)
        self.mlp = _Mlp(config)
        self.input_layernorm = _Norm(hidden, eps=eps)
        self.hidden_norm = _Norm(hidden, eps=eps)
        self.post_attention_layernorm = _Norm(hidden, eps=eps)


def rotary_of(config: HeadConfig) -> nn.Module:
    """The rotary embedding of a head's layer, the target's as a rule."""
    settings: dict[str, Any] = {
        "hidden_size": config.base.hidden_size,
        "num_attention_heads": config.num_attention_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.max_position_embeddings,
        "rope_parameters": dict(config.rope_parameters or {"rope_type": "default", "rope_theta": 10000.0}),
    }
    return LlamaRotaryEmbedding(LlamaConfig(**settings))


@final
class EagleNet(nn.Module):
    """The head with the public names of its tensors, as it is trained: whole texts, several steps unrolled."""

    def __init__(self, config: HeadConfig) -> None:
        """Make an untrained head."""
        super().__init__()
        hidden = config.base.hidden_size
        self.config = config
        self.fc = nn.Linear(len(config.taps) * hidden, hidden, bias=False)
        self.midlayer = _Layer(config)
        self.norm = _Norm(hidden, eps=config.rms_norm_eps)
        self.lm_head = nn.Linear(hidden, config.draft_vocab_size, bias=False)
        self._rotary = rotary_of(config)

    def step(
        self,
        states: Float[Tensor, "batch positions hidden"],
        embedded: Float[Tensor, "batch positions hidden"],
        past: Past,
        begin: int = 0,
    ) -> Float[Tensor, "batch some_positions hidden"]:
        """One step of the training-time test (section 3.2): the head's output at every position from `begin` on.

        In step s position t reads the token at t + 1 + s, and in place of the target's states, from the second step on,
        what the head gave there in the step before. It attends to the first step at all positions up to its own, and to
        the later ones at its own, as the chain that is drafted from there does.

        Args:
            states: `fc` of the target's states in the first step, then the last output.
            embedded: embeddings of the tokens that are read.
            past: keys and values of the steps before; takes those of this one.
            begin: the first position whose output is wanted; of those before only keys and values are computed. After
                the first step `states` and `embedded` start there.
        """
        layer, size = self.midlayer, self.config.head_dim
        assert size, "the layer has attention"
        batch = len(states)
        skipped = 0 if past else begin
        x = torch.cat((layer.input_layernorm(embedded), layer.hidden_norm(states)), dim=-1)
        attention = layer.self_attn

        def split(values: Tensor) -> Tensor:
            return values.view(batch, values.shape[1], -1, size).transpose(1, 2)

        places = torch.arange(x.shape[1], device=states.device)[None] + begin - skipped + len(past)
        cos, sin = (one[:, None] for one in self._rotary(states, places))
        q = _rotated(split(attention.q_proj(x[:, skipped:])), cos[:, :, skipped:], sin[:, :, skipped:])
        past.append((_rotated(split(attention.k_proj(x)), cos, sin), split(attention.v_proj(x))))
        attended = _attended(q, past, begin).transpose(1, 2).flatten(2)
        x = states[:, skipped:] + attention.o_proj(attended)
        out: Tensor = x + layer.mlp(layer.post_attention_layernorm(x))
        return out

    def logits(self, out: Float[Tensor, "*tokens hidden"]) -> Float[Tensor, "*tokens draft_vocab"]:
        """Over the draft vocabulary."""
        found: Tensor = self.lm_head(self.norm(out))
        return found


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


def _attended(q: Float[Tensor, "batch heads some_positions size"], past: Past, begin: int) -> Tensor:
    share = q.shape[1] // past[0][0].shape[1]
    wide = [(k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)) for k, v in past]
    positions = past[0][0].shape[2]
    later = torch.ones(positions, positions, dtype=torch.bool, device=q.device).triu(1)[begin:]
    if len(past) == 1:
        return F.scaled_dot_product_attention(q, *wide[0], attn_mask=~later)
    scale = q.shape[-1] ** -0.5
    scores = (q @ wide[0][0].transpose(2, 3)).masked_fill(later, -torch.inf)
    own = torch.stack([(q * k).sum(-1) for k, _ in wide[1:]], dim=-1)
    weights = (torch.cat((scores, own), dim=-1).float() * scale).softmax(dim=-1).to(q.dtype)
    out = weights[..., :positions] @ wide[0][1]
    for at, (_, v) in enumerate(wide[1:]):
        out = out + weights[..., positions + at : positions + at + 1] * v
    return out


def draft_to_target(ids: Int[Tensor, " draft_vocab"]) -> Int[Tensor, " draft_vocab"]:
    """The public form of a draft vocabulary: what is to be added to a draft id to get the target's."""
    return ids - torch.arange(len(ids))
