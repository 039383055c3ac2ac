"""What each layer has said of each place of one text, and when it is asked anew: dLLM-Cache.

Liu et al., "dLLM-Cache", arXiv 2506.06295, section 3: a prompt changes little from pass to pass, so all of it is
computed anew only now and then; a response is, more often, and in between those of its places whose values have changed
most.
"""

from dataclasses import dataclass, field
from typing import Any, Final, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

PROMPT_INTERVAL: Final = 100
"""Passes from one that computes all of the prompt to the next; this and the others as in its authors' demonstration."""
RESPONSE_INTERVAL: Final = 7
"""The same, of the response."""
SHARE: Final = 0.25
"""Of the response, which is computed anew in the passes between."""
_ALIKE: Final = 1e-5
"""Cosines that differ by less are equal: values of a token that has not changed differ by rounding."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptLayerFeatures:
    """One layer's part of a text."""

    keys: Float[Tensor, "1 heads places size"]
    values: Float[Tensor, "1 heads places size"]
    attended: Float[Tensor, "1 places hidden"]
    """What attention adds to each place."""
    thought: Float[Tensor, "1 places hidden"]
    """What the layer's own network adds to it."""


@final
@dataclass(slots=True)
class KeptFeatures:
    """All layers of a text, by their number; empty before its first pass."""

    layers: dict[int, KeptLayerFeatures] = field(default_factory=dict[int, KeptLayerFeatures])
    passes: int = 0

    def due(self, interval: int) -> bool:
        """Whether what is renewed at an interval is renewed in the next pass."""
        return self.passes % interval == 0


def most_changed(
    now: Float[Tensor, "places numbers"], then: Float[Tensor, "places numbers"], share: float
) -> Int[Tensor, " chosen"]:
    """The places whose values point least to where they pointed before, ascending: a share of them, and one at least.

    Of places that have changed equally little the leftmost.
    """
    count = max(int(len(now) * share), 1)
    alike = torch.nn.functional.cosine_similarity(now.float(), then.float(), dim=-1)
    return (alike / _ALIKE).round().sort(stable=True).indices[:count].sort().values


@final
class RenewedKeys:
    """Takes the keys and values of the places that an attention computes, and shows it those of all.

    What is behind these places is shown behind all places, and not kept. It stands where a layer of transformers
    expects its cache.
    """

    def __init__(self, kept: KeptLayerFeatures | None, places: Int[Tensor, " computed"]) -> None:
        """Show what is kept; None: nothing is yet, and all places are computed."""
        self._kept = kept
        self._places = places
        self._shown: tuple[Tensor, Tensor] | None = None

    @property
    def shown(self) -> tuple[Float[Tensor, "1 heads places size"], Float[Tensor, "1 heads places size"]]:
        """Keys and values of all places, once the layer has run."""
        assert self._shown is not None, "the layer has run"
        return self._shown

    def update(
        self,
        key_states: Float[Tensor, "1 heads computed size"],
        value_states: Float[Tensor, "1 heads computed size"],
        *args: Any,
        **kwargs: Any,
    ) -> tuple[Float[Tensor, "1 heads shown size"], Float[Tensor, "1 heads shown size"]]:
        """All keys and values, those of the computed places new."""
        del args, kwargs
        count = len(self._places)
        keys, values = key_states[:, :, :count], value_states[:, :, :count]
        if self._kept is not None:
            keys = self._kept.keys.index_copy(2, self._places, keys)
            values = self._kept.values.index_copy(2, self._places, values)
        self._shown = keys, values
        return torch.cat([keys, key_states[:, :, count:]], dim=2), torch.cat(
            [values, value_states[:, :, count:]], dim=2
        )
