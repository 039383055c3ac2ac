"""Keys and values of the places of one text, each as it was when its place was last computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor
from transformers.cache_utils import CacheLayerMixin


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptStates:
    """What a row keeps from one pass to the next."""

    tokens: tuple[int, ...]
    """What was read at each place when it was last computed."""
    block: range
    """Block of the canvas that was worked on."""
    since: int
    """Passes since the last one that computed every place, that one not counted."""
    states: Float[Tensor, "layers two heads places size"]

    def __len__(self) -> int:
        return len(self.tokens)


def merged(
    before: KeptStates | None,
    tokens: tuple[int, ...],
    block: range,
    places: Sequence[int],
    fresh: Float[Tensor, "layers two heads computed size"],
) -> KeptStates:
    """What is kept after a pass that computed some places; the others are as before.

    Of the text before, what lies behind the end of the present one is dropped.
    """
    if before is None or len(places) == len(tokens):
        return KeptStates(tokens=tokens, block=block, since=0, states=fresh)
    states = fresh.new_empty((*fresh.shape[:3], len(tokens), fresh.shape[4]))
    known = min(len(tokens), len(before))
    states[:, :, :, :known] = before.states[:, :, :, :known]
    states[:, :, :, torch.tensor(places, dtype=torch.long, device=states.device)] = fresh
    known_tokens = list(tokens)
    known_tokens[:known] = before.tokens[:known]
    for place in places:
        known_tokens[place] = tokens[place]
    return KeptStates(tokens=tuple(known_tokens), block=block, since=before.since + 1, states=states)


def stacked(kept: Sequence[KeptStates]) -> Float[Tensor, "layers two rows heads places size"]:
    """The states of several rows, padded at the end."""
    longest, one = max(len(row) for row in kept), kept[0].states
    padded = one.new_zeros((*one.shape[:2], len(kept), one.shape[2], longest, one.shape[4]))
    for number, row in enumerate(kept):
        padded[:, :, number, :, : len(row)] = row.states
    return padded


@final
class KeptLayer(CacheLayerMixin):
    """One layer of a pass: shows what was kept and what is new, and leaves the new to whoever keeps it."""

    is_sliding = False

    def __init__(self, kept: Float[Tensor, "two rows heads places size"] | None) -> None:
        super().__init__()
        self._kept = kept
        if kept is not None:
            self.keys, self.values = kept  # For layers that only read.
        self._fresh: Float[Tensor, "two rows heads width size"] | None = None

    @property
    def fresh(self) -> Float[Tensor, "two rows heads width size"]:
        """Keys and values of this pass."""
        assert self._fresh is not None, "the network has run"
        return self._fresh

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing to do: there is no memory of its own."""

    def update(
        self,
        key_states: Float[Tensor, "rows heads width size"],
        value_states: Float[Tensor, "rows heads width size"],
        *args: Any,
        **kwargs: Any,
    ) -> tuple[Float[Tensor, "rows heads shown size"], Float[Tensor, "rows heads shown size"]]:
        """What is kept first, then what is new."""
        del args, kwargs
        self._fresh = torch.stack((key_states, value_states))
        if self._kept is None:
            return key_states, value_states
        keys, values = torch.cat((self._kept, self._fresh), dim=3)
        return keys, values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Never asked for: every pass brings its own mask."""
        del query_length
        raise AssertionError("a pass over canvases must bring its own attention mask")

    def get_seq_length(self) -> int:
        """Places come with the pass."""
        return 0

    def get_max_length(self) -> int:
        """-1: grows without limit."""
        return -1
