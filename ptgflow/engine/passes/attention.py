"""How the layers of a model look back, and the masks that follow from it."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import PretrainedConfig

from ptgflow.diagnostics.codes.runtime import UNSUPPORTED_MODEL
from ptgflow.engine.slots import Group
from ptgflow.errors import RunError

FULL: Final = "full_attention"
SLIDING: Final = "sliding_attention"
_GROWING: Final = ("dynamic", "longrope")
"""Rotary embeddings whose frequencies depend on the longest text that is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionPattern:
    """Which kinds of layers a model has."""

    kinds: tuple[str, ...]
    """Of each layer: `full_attention` or `sliding_attention`."""
    window: int | None
    """A sliding layer sees so many positions, its own included."""

    @staticmethod
    def of(config: PretrainedConfig, name: str) -> "AttentionPattern":
        """Read the pattern from a model's configuration.

        Raises:
            RunError: UNSUPPORTED_MODEL, for attention of another kind.
        """
        settings = vars(config)
        window = settings.get("sliding_window")
        own = SLIDING if window is not None else FULL
        kinds = tuple(settings.get("layer_types") or [own] * config.num_hidden_layers)
        others = sorted(set(kinds) - {FULL, SLIDING})
        if others:
            raise RunError([UNSUPPORTED_MODEL(model=name, reason=f"it has layers of the kind {', '.join(others)}")])
        rotary = str(settings.get("rope_parameters"))
        growing = next((name for name in _GROWING if f"'{name}'" in rotary), None)
        if growing is not None:
            reason = f"its rotary embedding ({growing}) follows the longest text of a batch, so no row would be its own"
            raise RunError([UNSUPPORTED_MODEL(model=name, reason=reason)])
        assert SLIDING not in kinds or window is not None, "sliding layers have a window"
        return AttentionPattern(kinds=kinds, window=window)

    def visible(self, group: Group) -> dict[str, Bool[Tensor, "rows width capacity"]]:
        """For each kind of layer which slots each column of a group may see."""
        return {kind: group.visible(self.window if kind == SLIDING else None) for kind in sorted(set(self.kinds))}


def head_dim(config: PretrainedConfig) -> int:
    """Numbers of an attention head; where a configuration does not say, the hidden size over the number of heads."""
    size: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return size


def kept_bytes(config: PretrainedConfig) -> int:
    """Size of one token's keys and values in all layers, in bytes of fp32."""
    # Layers of Gemma 4 that see everything have fewer and larger heads than the others.
    layers = list(getattr(config, "per_layer_config", None) or [config] * config.num_hidden_layers)
    return sum(2 * layer.num_key_value_heads * head_dim(layer) for layer in layers) * 4


def additive(visible: Bool[Tensor, "*any"], dtype: torch.dtype, hidden: float) -> Float[Tensor, "*any"]:
    """The mask as numbers that are added to attention scores: 0 where visible, `hidden` elsewhere."""
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(~visible, hidden)
