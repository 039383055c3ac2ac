"""A pass through a model as transformers wrote it, with cache layers of our own; for every supported family."""

from collections.abc import Sequence
from typing import Any, Final, final

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin

from ptgflow.diagnostics.codes.runtime import UNSUPPORTED_MODEL
from ptgflow.engine.passes.attention import AttentionPattern, additive, head_dim
from ptgflow.engine.passes.interface import Tapped
from ptgflow.engine.slots import Group, KeyValueShape, Placement, RowInput, SlotCache
from ptgflow.errors import RunError


@final
class _GroupLayer(CacheLayerMixin):
    """Keys and values of one layer for the rows of the group that is being computed."""

    is_sliding = False

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self.group: Group | None = None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing to do: the memory is the bucket's."""

    def update(
        self,
        key_states: Float[Tensor, "rows heads width size"],
        value_states: Float[Tensor, "rows heads width size"],
        *args: Any,
        **kwargs: Any,
    ) -> tuple[Float[Tensor, "rows heads capacity size"], Float[Tensor, "rows heads capacity size"]]:
        """Write the new keys and values, and show all slots of the group's rows."""
        del args, kwargs
        group = self.group
        assert group is not None, "the pass sets the group"
        flat = group.bucket.flat(self._number)
        for which, states in enumerate((key_states, value_states)):
            tokens = states.transpose(1, 2).flatten(0, 1)
            flat[group.slots, which] = tokens if group.even else tokens[group.columns]
        return group.shown(self._number)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Never asked for: every pass brings its own mask."""
        del query_length
        raise AssertionError("a pass over slots must bring its own attention mask")

    def get_seq_length(self) -> int:
        """Rows have lengths of their own; positions come with the pass."""
        return 0

    def get_max_length(self) -> int:
        """-1: grows without limit."""
        return -1


@final
class TransformersPass:
    """Runs a model as transformers wrote it, one call for each group of rows."""

    def __init__(self, network: PreTrainedModel, name: str, *, budget: int | None) -> None:
        """Prepare.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model whose keys and values cannot be kept by position.
        """
        attention = network.config._attn_implementation
        if attention not in ("eager", "sdpa"):
            reason = f"attention {attention!r} cannot mask single slots"
            raise RunError([UNSUPPORTED_MODEL(model=name, reason=reason)])
        self._network = network
        self._pattern = AttentionPattern.of(network.config, name)
        self._additive: Final = attention == "eager"
        shape = key_value_shape(network)
        # One bucket: several groups would be several calls of the whole network.
        self._cache = SlotCache(shape, budget=budget, layout="one")
        self._layers = [_GroupLayer(number) for number in range(shape.layers)]

    @property
    def cache(self) -> SlotCache:
        return self._cache

    def __call__(self, inputs: Sequence[RowInput]) -> Float[Tensor, "wanted vocab"]:
        return self.tapped(inputs, ()).logits

    def tapped(self, inputs: Sequence[RowInput], taps: Sequence[int]) -> Tapped:
        place = self._cache.begin(inputs)
        with torch.inference_mode():
            parts = [self._group(place, group, taps) for group in place.groups]
        table = torch.cat([part for part, _, _ in parts])
        logits = table[self._rows_of(place, [keep for _, keep, _ in parts])]
        return Tapped(logits=logits, states=place.listed(torch.cat([states for _, _, states in parts])))

    def _group(self, place: Placement, group: Group, taps: Sequence[int]) -> tuple[Tensor, int, Tensor]:
        """Logits of the last `keep` columns of each row of a group, one row after the other; `keep`; and states."""
        keep = min(max(len(row.tree) for row in group.rows) + 1, group.width)
        for layer in self._layers:
            layer.group = group
        output = self._network(
            input_ids=_padded(place.tokens, group),
            position_ids=_padded(place.positions, group),
            attention_mask=self._masks(group),
            past_key_values=Cache(layers=list(self._layers)),
            use_cache=True,
            logits_to_keep=keep,
            output_hidden_states=bool(taps),
        )
        states = output.logits.new_zeros(group.end - group.begin, 0)
        if taps:
            states = torch.cat([output.hidden_states[tap] for tap in taps], dim=-1).flatten(0, 1)
            states = states if group.even else states[group.columns]
        return output.logits.flatten(0, 1).float(), keep, states

    def _masks(self, group: Group) -> Tensor | dict[str, Tensor]:
        """A model whose layers are all alike takes one mask, another a mask for each kind of layer."""
        masks = {kind: visible[:, None] for kind, visible in self._pattern.visible(group).items()}
        if self._additive:
            dtype = self._cache.shape.dtype
            masks = {kind: additive(visible, dtype, torch.finfo(dtype).min) for kind, visible in masks.items()}
        return masks if len(masks) > 1 else next(iter(masks.values()))

    def _rows_of(self, place: Placement, keeps: Sequence[int]) -> Tensor:
        """Which rows of the logits of all groups are those of the wanted tokens."""
        row_of: dict[int, int] = {}
        base = 0
        for group, keep in zip(place.groups, keeps, strict=True):
            at = group.begin
            for row in group.rows:
                for back in range(1, min(keep, row.count) + 1):
                    row_of[at + row.count - back] = base + keep - back
                at += row.count
                base += keep
        rows = [row_of[token] for token in place.wanted.tolist()]
        return torch.tensor(rows, dtype=torch.long, device=place.wanted.device)


def key_value_shape(network: PreTrainedModel) -> KeyValueShape:
    """What one token leaves behind in a model of a supported family."""
    config = network.config
    return KeyValueShape(
        layers=config.num_hidden_layers,
        heads=config.num_key_value_heads,
        size=head_dim(config),
        dtype=network.dtype,
        device=network.device,
    )


def _padded(flat: Tensor, group: Group) -> Tensor:
    """The group's part of a flat tensor, `[rows, width]`; padding repeats the row's first entry."""
    part = flat[group.begin : group.end]
    if group.even:
        return part.view(len(group.rows), group.width)
    starts, at = [], 0
    for row in group.rows:
        starts.append(at)
        at += row.count
    padded = part[torch.tensor(starts, device=flat.device)].repeat_interleave(group.width)
    padded[group.columns] = part
    return padded.view(len(group.rows), group.width)
