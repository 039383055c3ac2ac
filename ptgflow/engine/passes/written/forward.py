"""The written-out pass: merged products, fused norms, attention over slots, and nothing computed for padding.

Against transformers' modules it saves most of the small operators, which are half of a pass over few tokens, and its
products are over packed weights. The two are each other's oracle in the tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.passes.attention import additive
from ptgflow.engine.passes.written.weights import WrittenLayer, WrittenModel
from ptgflow.engine.slots import Group, Placement, RowInput, SlotCache

_FEWEST_QUERIES: Final = 4
"""Fused attention rounds differently for fewer queries; with at least so many, a token's result does not depend on how
many others are in the pass."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Attention:
    """What all layers need to attend within one group."""

    group: Group
    columns: int
    """Width of the padded queries."""
    masks: dict[str, Float[Tensor, "rows 1 queries capacity"]]


@final
class WrittenPass:
    """Runs a written-out model over the slots of a cache."""

    def __init__(self, model: WrittenModel, *, budget: int | None) -> None:
        self._model = model
        self._cache = SlotCache(model.shape, budget=budget)
        self._queries_a_key: Final = model.heads // model.key_heads

    @property
    def cache(self) -> SlotCache:
        return self._cache

    def __call__(self, inputs: Sequence[RowInput]) -> Float[Tensor, "wanted vocab"]:
        place = self._cache.begin(inputs)
        with torch.inference_mode():
            hidden = self._decode(place)
            return self._logits(hidden[place.wanted])

    def _logits(self, hidden: Float[Tensor, "wanted hidden"]) -> Float[Tensor, "wanted vocab"]:
        model = self._model
        if not len(hidden):
            return hidden.new_zeros(0, len(model.embedding), dtype=torch.float32)
        logits = model.head(_paired(F.rms_norm(hidden, model.final_norm.shape, model.final_norm, model.eps)))
        logits = logits[: len(hidden)].float()
        if model.soft_cap is not None:
            logits = torch.tanh(logits / model.soft_cap) * model.soft_cap
        return logits

    def _decode(self, place: Placement) -> Float[Tensor, "tokens hidden"]:
        model = self._model
        x = F.embedding(place.tokens, model.embedding).to(model.dtype)
        if model.embedding_scale != 1.0:
            x = x * model.embedding_scale
        x = _paired(x)
        rotations = self._rotations(place)
        attentions = [self._attention(group) for group in place.groups]
        for number, layer in enumerate(model.layers):
            attended = self._attend(number, layer, x, rotations[layer.kind], attentions)
            if layer.after_attention is not None:
                attended = self._norm(attended, layer.after_attention)
            x = x + attended
            x = x + self._mlp(layer, x)
        return x

    def _mlp(self, layer: WrittenLayer, x: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "tokens hidden"]:
        gate, up = layer.gate_up(self._norm(x, layer.before_mlp)).chunk(2, dim=-1)
        down = layer.down(self._model.activation(gate) * up)
        return down if layer.after_mlp is None else self._norm(down, layer.after_mlp)

    def _attend(
        self,
        number: int,
        layer: WrittenLayer,
        x: Float[Tensor, "tokens hidden"],
        rotation: tuple[Tensor, Tensor],
        attentions: Sequence[_Attention],
    ) -> Float[Tensor, "tokens hidden"]:
        model = self._model
        rotated = model.heads + model.key_heads
        qkv = layer.qkv(self._norm(x, layer.before_attention)).view(len(x), rotated + model.key_heads, model.size)
        qk = qkv[:, :rotated]
        if layer.head_norm is not None:
            qk = F.rms_norm(qk, (model.size,), None, model.eps) * layer.head_norm
        cos, sin = rotation
        qk = torch.addcmul(qk * cos, qk.roll(model.size // 2, -1), sin)
        # Keys, then values: each token's lie together as the slots have them.
        keys_values = torch.stack((qk[:, model.heads :], qkv[:, rotated:]), dim=1)
        parts = [self._attend_group(number, layer.kind, qk[:, : model.heads], keys_values, one) for one in attentions]
        attended = parts[0] if len(parts) == 1 else torch.cat(parts)
        return layer.out(_paired(attended))

    def _attend_group(
        self, number: int, kind: str, queries: Tensor, keys_values: Tensor, attention: _Attention
    ) -> Float[Tensor, "tokens features"]:
        """Write the group's keys and values, then attend from its queries.

        The query heads that share a key head become further queries of it, so keys and values are read as they lie.
        """
        group, model = attention.group, self._model
        group.bucket.flat(number).index_copy_(0, group.slots, keys_values[group.begin : group.end])
        rows, width, share = len(group.rows), attention.columns, self._queries_a_key
        q = self._padded(queries[group.begin : group.end], attention)
        q = q.view(rows, width, model.key_heads, share, model.size).permute(0, 2, 1, 3, 4)
        q = q.reshape(rows, model.key_heads, width * share, model.size)
        keys, values = group.shown(number)
        out = F.scaled_dot_product_attention(q, keys, values, attn_mask=attention.masks[kind], scale=model.scale)
        out = out.view(rows, model.key_heads, width, share, model.size).permute(0, 2, 1, 3, 4)
        out = out.reshape(rows * width, model.heads * model.size)
        if group.even and width == group.width:
            return out
        return out[self._columns(attention)]

    def _padded(self, queries: Tensor, attention: _Attention) -> Tensor:
        group = attention.group
        if group.even and attention.columns == group.width:
            return queries
        padded = queries.new_zeros(len(group.rows) * attention.columns, *queries.shape[1:])
        return padded.index_copy_(0, self._columns(attention), queries)

    def _columns(self, attention: _Attention) -> Tensor:
        """Where the group's tokens stand among its padded queries: at the right end of each row."""
        group, extra = attention.group, attention.columns - attention.group.width
        if not extra:
            return group.columns
        return group.columns + (group.columns // group.width + 1) * extra

    def _attention(self, group: Group) -> _Attention:
        share = self._queries_a_key
        columns = max(group.width, -(-_FEWEST_QUERIES // share))
        masks = {}
        for kind, visible in self._model.pattern.visible(group).items():
            if columns > group.width:
                visible = torch.cat([visible[:, :1].expand(-1, columns - group.width, -1), visible], dim=1)
            mask = additive(visible, self._model.dtype, -torch.inf)
            masks[kind] = mask.repeat_interleave(share, dim=1)[:, None] if share > 1 else mask[:, None]
        return _Attention(group=group, columns=columns, masks=masks)

    def _rotations(self, place: Placement) -> dict[str, tuple[Tensor, Tensor]]:
        """For each kind of layer cosines and sines, the sines with the sign of the half that they are for."""
        model = self._model
        like = torch.zeros((), dtype=model.dtype, device=place.positions.device)
        found: dict[str, tuple[Tensor, Tensor]] = {}
        for kind in dict.fromkeys(model.pattern.kinds):
            arguments = (kind,) if model.rotary_by_kind else ()
            cos, sin = model.rotary(like, place.positions[None], *arguments)
            half = model.size // 2
            sin = torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)
            found[kind] = (_paired(cos[0])[:, None], _paired(sin[0])[:, None])
        return found

    def _norm(self, x: Float[Tensor, "tokens hidden"], factor: Float[Tensor, " hidden"]) -> Tensor:
        return F.rms_norm(x, factor.shape, factor, self._model.eps)


def _paired(x: Tensor) -> Tensor:
    """A lone token twice: products round it differently alone than among others, and two cost what one does."""
    return x if x.shape[0] != 1 else x.expand(2, *x.shape[1:]).contiguous()
