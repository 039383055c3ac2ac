"""The network of a written-out model: merged products, fused norms, attention over slots, nothing for padding.

Against transformers' modules it saves most of the small operators, which are half of a pass over few tokens, and its
products are over packed weights. The two are each other's oracle in the tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ptgflow.engine.passes.attention import additive
from ptgflow.engine.passes.written.weights import WrittenLayer, WrittenModel
from ptgflow.engine.slots import Bucket

_FEWEST_QUERIES: Final = 4
"""Fused attention rounds differently for fewer queries; with at least so many, a token's result does not depend on how
many others are in the pass."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attending:
    """Rows that lie next to each other in a bucket and attend in one call."""

    bucket: Bucket
    first: int
    """Where the first row lies, and where the last one ends."""
    last: int
    begin: int
    """Its first token among all tokens of the pass, and the one behind its last."""
    end: int
    slots: Int[Tensor, " tokens"]
    """Where each token's keys and values are written: `row number * capacity + slot`."""
    columns: int
    """Width of the padded queries."""
    padded: Int[Tensor, " tokens"] | None
    """Where each token stands among the padded queries; None: as they are."""
    masks: dict[str, Float[Tensor, "rows 1 queries capacity"]]
    """For each kind of layer what is added to the scores; the query heads that share a key head are queries of it."""


@final
class Network:
    """What a written-out model computes. It keeps nothing: keys and values are the buckets'."""

    def __init__(self, model: WrittenModel) -> None:
        self.model: Final = model
        self._queries_a_key: Final = model.heads // model.key_heads
        self.fewest_columns: Final = -(-_FEWEST_QUERIES // self._queries_a_key)
        """A pass has at least so many columns a row, padded if need be."""

    def embed(self, tokens: Int[Tensor, "*tokens"]) -> Float[Tensor, "*tokens hidden"]:
        """What the first layer reads."""
        mask, last = self.model.mask, len(self.model.embedding) - 1
        x = F.embedding(tokens if mask is None else tokens.clamp(max=last), self.model.embedding).to(self.model.dtype)
        x = x if self.model.embedding_scale == 1.0 else x * self.model.embedding_scale
        return x if mask is None else torch.where((tokens > last)[..., None], mask.to(x.dtype), x)

    def logits(self, hidden: Float[Tensor, "wanted hidden"]) -> Float[Tensor, "wanted vocab"]:
        """Logits of some tokens of a pass, in fp32."""
        model = self.model
        if not len(hidden):
            return hidden.new_zeros(0, len(model.embedding), dtype=torch.float32)
        logits = model.head(paired(F.rms_norm(hidden, model.final_norm.shape, model.final_norm, model.eps)))
        logits = logits[: len(hidden)].float()
        if model.soft_cap is not None:
            logits = torch.tanh(logits / model.soft_cap) * model.soft_cap
        return logits

    def decode(
        self,
        tokens: Int[Tensor, " tokens"],
        positions: Int[Tensor, " tokens"],
        attendings: Sequence[Attending],
        taps: Sequence[int] = (),
    ) -> tuple[Float[Tensor, "tokens hidden"], Float[Tensor, "tokens features"]]:
        """Run all layers over new tokens, and write their keys and values into their slots.

        Returns:
            What leaves the last layer; and, side by side, what enters layer i for each tap i, or what the last norm
            leaves for the tap that is the number of layers.
        """
        model = self.model
        tapped: dict[int, Tensor] = {}
        x = paired(self.embed(tokens))
        rotations = self.rotations(positions)
        for number, layer in enumerate(model.layers):
            if number in taps:
                tapped[number] = x
            normed = self._norm(x, layer.before_attention)
            attended = self.attend(number, layer, normed, rotations[layer.kind], attendings)
            if layer.after_attention is not None:
                attended = self._norm(attended, layer.after_attention)
            x = x + attended
            x = x + self.mlp(layer, x)
        if len(model.layers) in taps:
            tapped[len(model.layers)] = self._norm(x, model.final_norm)
        states = torch.cat([tapped[tap] for tap in taps], dim=-1) if taps else x[:, :0]
        return x[: len(tokens)], states[: len(tokens)]

    def mlp(self, layer: WrittenLayer, x: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "tokens hidden"]:
        """What the second half of a layer adds."""
        gate, up = layer.gate_up(self._norm(x, layer.before_mlp)).chunk(2, dim=-1)
        down = layer.down(self.model.activation(gate) * up)
        return down if layer.after_mlp is None else self._norm(down, layer.after_mlp)

    def attend(
        self,
        number: int,
        layer: WrittenLayer,
        normed: Float[Tensor, "tokens inputs"],
        rotation: tuple[Tensor, Tensor],
        attendings: Sequence[Attending],
    ) -> Float[Tensor, "tokens hidden"]:
        """What the first half of a layer adds, before a norm that stands behind it.

        Args:
            number: of the layer in the cache.
            layer: its weights.
            normed: what queries, keys and values are made of.
            rotation: of the layer's kind.
            attendings: the groups of the pass.
        """
        model = self.model
        rotated = model.heads + model.key_heads
        qkv = layer.qkv(normed).view(len(normed), rotated + model.key_heads, model.size)
        qk = qkv[:, :rotated]
        if layer.head_norm is not None:
            qk = F.rms_norm(qk, (model.size,), None, model.eps) * layer.head_norm
        cos, sin = rotation
        qk = torch.addcmul(qk * cos, qk.roll(model.size // 2, -1), sin)
        # Keys, then values: each token's lie together as the slots have them.
        keys_values = torch.stack((qk[:, model.heads :], qkv[:, rotated:]), dim=1)
        parts = [self._attend_group(number, layer.kind, qk[:, : model.heads], keys_values, one) for one in attendings]
        attended = parts[0] if len(parts) == 1 else torch.cat(parts)
        return layer.out(paired(attended))

    def _attend_group(
        self, number: int, kind: str, queries: Tensor, keys_values: Tensor, at: Attending
    ) -> Float[Tensor, "tokens features"]:
        """Write the group's keys and values, then attend from its queries.

        The query heads that share a key head become further queries of it, so keys and values are read as they lie.
        """
        model = self.model
        at.bucket.flat(number).index_copy_(0, at.slots, keys_values[at.begin : at.end])
        rows, width, share = at.last - at.first, at.columns, self._queries_a_key
        q = queries[at.begin : at.end]
        if at.padded is not None:
            q = q.new_zeros(rows * width, *q.shape[1:]).index_copy_(0, at.padded, q)
        q = q.view(rows, width, model.key_heads, share, model.size).permute(0, 2, 1, 3, 4)
        q = q.reshape(rows, model.key_heads, width * share, model.size)
        keys, values = at.bucket.shown(number, at.first, at.last)
        out = F.scaled_dot_product_attention(q, keys, values, attn_mask=at.masks[kind], scale=model.scale)
        out = out.view(rows, model.key_heads, width, share, model.size).permute(0, 2, 1, 3, 4)
        out = out.reshape(rows * width, model.heads * model.size)
        return out if at.padded is None else out[at.padded]

    def masks(
        self, visible: dict[str, Bool[Tensor, "rows columns capacity"]]
    ) -> dict[str, Float[Tensor, "rows 1 queries capacity"]]:
        """For each kind of layer what is added to scores, of what each column may see."""
        share = self._queries_a_key
        masks = {kind: additive(seen, self.model.dtype, -torch.inf) for kind, seen in visible.items()}
        return {
            kind: (mask.repeat_interleave(share, dim=1) if share > 1 else mask)[:, None] for kind, mask in masks.items()
        }

    def rotations(self, positions: Int[Tensor, " tokens"]) -> dict[str, tuple[Tensor, Tensor]]:
        """For each kind of layer cosines and sines, the sines with the sign of the half that they are for."""
        model = self.model
        like = torch.zeros((), dtype=model.dtype, device=positions.device)
        found: dict[str, tuple[Tensor, Tensor]] = {}
        for kind in dict.fromkeys(model.pattern.kinds):
            arguments = (kind,) if model.rotary_by_kind else ()
            cos, sin = model.rotary(like, positions[None], *arguments)
            half = model.size // 2
            sin = torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)
            found[kind] = (paired(cos[0])[:, None], paired(sin[0])[:, None])
        return found

    def _norm(self, x: Float[Tensor, "tokens hidden"], factor: Float[Tensor, " hidden"]) -> Tensor:
        return F.rms_norm(x, factor.shape, factor, self.model.eps)


def paired(x: Tensor) -> Tensor:
    """A lone token twice: products round it differently alone than among others, and two cost what one does."""
    return x if x.shape[0] != 1 else x.expand(2, *x.shape[1:]).contiguous()
