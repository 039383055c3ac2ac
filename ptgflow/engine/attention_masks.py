"""Which slots each query of a pass may see, in the form that the model's attention wants."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from ptgflow.diagnostics.codes.runtime import UNSUPPORTED_MODEL
from ptgflow.errors import RunError

FULL: Final = "full_attention"
SLIDING: Final = "sliding_attention"

PassMask = Bool[Tensor, "rows 1 width reach"] | Float[Tensor, "rows 1 width reach"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionPattern:
    """How the layers of a model look back."""

    kinds: frozenset[str]
    """`full_attention`, `sliding_attention` or both."""
    window: int | None
    """A sliding layer sees so many positions, its own included."""
    additive: bool
    """Whether masks are added to the attention logits (`eager`) instead of being boolean (`sdpa`)."""

    @staticmethod
    def of(model: PreTrainedModel, name: str) -> "AttentionPattern":
        """Read the pattern from a model's configuration.

        Raises:
            RunError: UNSUPPORTED_MODEL, for attention of another kind.
        """
        settings = vars(model.config)
        window = settings.get("sliding_window")
        own = SLIDING if window is not None else FULL
        kinds = frozenset(settings.get("layer_types") or [own])
        attention = model.config._attn_implementation
        if not kinds <= {FULL, SLIDING}:
            others = ", ".join(sorted(kinds - {FULL, SLIDING}))
            raise RunError([UNSUPPORTED_MODEL(model=name, reason=f"it has layers of the kind {others}")])
        if attention not in ("eager", "sdpa"):
            raise RunError([UNSUPPORTED_MODEL(model=name, reason=f"attention {attention!r} cannot mask single slots")])
        assert SLIDING not in kinds or window is not None, "sliding layers have a window"
        return AttentionPattern(kinds=kinds, window=window, additive=attention == "eager")

    def masks(
        self, positions: Int[Tensor, "rows width"], reach: int, dtype: torch.dtype
    ) -> PassMask | dict[str, PassMask]:
        """The mask of a pass whose queries stand at `positions` and look over slots `0 .. reach - 1`.

        A model whose layers are all alike takes one mask, another a mask for each kind of layer.
        """
        slots = torch.arange(reach, device=positions.device)
        query = positions[:, None, :, None]
        visible = slots <= query
        masks = {}
        if FULL in self.kinds:
            masks[FULL] = self._form(visible, dtype)
        if SLIDING in self.kinds:
            assert self.window is not None, "sliding layers have a window"
            masks[SLIDING] = self._form(visible & (slots > query - self.window), dtype)
        return masks if len(masks) > 1 else next(iter(masks.values()))

    def _form(self, visible: Bool[Tensor, "rows 1 width reach"], dtype: torch.dtype) -> PassMask:
        if not self.additive:
            return visible
        mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return mask.masked_fill(~visible, torch.finfo(dtype).min)
