"""A key-value cache in which every row has its own length: rows join, are cut back and leave at any round.

The batch of a pass is a contiguous range of rows, and the token at position p of a row has its keys in slot p. So what
a query may see follows from its position alone: slots up to its own. Slots at and behind a row's length hold leftovers
(padding, rejected proposals); they are written again before any query can reach them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

SLOT_STEP: Final = 256
"""Slots are added in steps of so many, so that growing is rare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where one pass reads and writes."""

    first: int
    """First row of the pass; its rows are `first .. first + rows - 1`."""
    positions: Int[Tensor, "rows width"]
    """Position of each token. Rows are padded on the left with their first token, which keeps its position."""
    slots: Int[Tensor, "rows width"]
    """Slot of each token: its position; for padding a slot behind the row's new tokens."""
    reach: int
    """Slots that the pass touches: all of its slots are below."""


@final
class SlotLayer(CacheLayerMixin):
    """Keys and values of one layer, `[rows, heads, slots, head size]`; grows when a pass needs more."""

    is_sliding = False

    def __init__(self) -> None:
        super().__init__()
        self.placement: Placement | None = None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make empty storage of the device, precision and head sizes of the first keys and values."""
        self.keys = key_states.new_zeros(0, key_states.shape[1], 0, key_states.shape[3])
        self.values = value_states.new_zeros(0, value_states.shape[1], 0, value_states.shape[3])
        self.is_initialized = True

    def update(
        self,
        key_states: Float[Tensor, "rows heads width size"],
        value_states: Float[Tensor, "rows heads width value_size"],
        *args: Any,
        **kwargs: Any,
    ) -> tuple[Float[Tensor, "rows heads reach size"], Float[Tensor, "rows heads reach value_size"]]:
        """Write the new keys and values, and show all of the rows' slots within reach."""
        del args, kwargs
        place = self.placement
        assert place is not None, "begin() sets the placement before each pass"
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        last = place.first + key_states.shape[0]
        self._reserve(last, place.reach)
        keys, values = self._storage()
        shown_keys, shown_values = keys[place.first : last], values[place.first : last]
        rows = torch.arange(key_states.shape[0], device=key_states.device)[:, None]
        shown_keys[rows, :, place.slots] = key_states.transpose(1, 2)
        shown_values[rows, :, place.slots] = value_states.transpose(1, 2)
        return shown_keys[:, :, : place.reach], shown_values[:, :, : place.reach]

    def keep(self, rows: Sequence[int]) -> None:
        """Move the listed rows, in ascending order, to the front."""
        if self.is_initialized:
            for store in self._storage():
                for to, source in enumerate(rows):
                    # A row that no pass has written yet may have no storage, and needs none to be moved.
                    if to != source and source < store.shape[0]:
                        store[to] = store[source]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Never asked for: every pass brings its own mask."""
        del query_length
        raise AssertionError("a pass over slots must bring its own attention mask")

    def get_seq_length(self) -> int:
        """Slots within reach of the current pass; rows have lengths of their own."""
        return 0 if self.placement is None else self.placement.reach

    def get_max_length(self) -> int:
        """-1: grows without limit."""
        return -1

    def check(self, written: Sequence[int]) -> None:
        """Verify that the storage holds what was written, given as the number of slots of each row."""
        if not self.is_initialized:
            assert not any(written), "what was written has storage"
            return
        keys, values = self._storage()
        assert keys.shape[:3] == values.shape[:3], "keys and values lie side by side"
        assert keys.shape[2] % SLOT_STEP == 0, "slots come in steps"
        assert max((row for row, slots in enumerate(written) if slots), default=-1) < keys.shape[0], "rows have storage"
        assert max(written, default=0) <= keys.shape[2], "every slot that was written has storage"
        for store in (keys, values):
            assert bool(torch.isfinite(store).all()), "even unseen slots are finite: 0 times infinity is not 0"

    def _storage(self) -> tuple[Tensor, Tensor]:
        assert self.keys is not None, "storage exists once keys have been seen"
        assert self.values is not None, "values lie beside their keys"
        return self.keys, self.values

    def _reserve(self, rows: int, slots: int) -> None:
        keys, values = self._storage()
        if rows > keys.shape[0] or slots > keys.shape[2]:
            rows = max(keys.shape[0], 1 << (rows - 1).bit_length())
            slots = max(keys.shape[2], -(-slots // SLOT_STEP) * SLOT_STEP)
            self.keys, self.values = _grown(keys, rows, slots), _grown(values, rows, slots)


@final
class SlotCache(Cache):
    """Keys and values of all rows of a loop, and how many slots of each row are valid.

    One pass: `begin`, the model's forward with this cache, then `commit` for each row with how many of its new tokens
    stay. `admit`, `rollback` and `remove` may be called between passes.
    """

    def __init__(self, layers: int) -> None:
        self.slot_layers = [SlotLayer() for _ in range(layers)]
        super().__init__(layers=list(self.slot_layers))
        self._lengths: list[int] = []
        self._written: list[int] = []

    @property
    def lengths(self) -> tuple[int, ...]:
        """Valid slots of each row."""
        return tuple(self._lengths)

    def admit(self) -> int:
        """Add an empty row behind the others; its index."""
        self._lengths.append(0)
        self._written.append(0)
        return len(self._lengths) - 1

    def begin(self, first: int, widths: Sequence[int], device: torch.device) -> Placement:
        """Place a pass over rows `first, first + 1, ...`, each with `widths[i] >= 1` new tokens."""
        last = first + len(widths)
        assert 0 <= first < last <= len(self._lengths), "a pass is over rows that were admitted"
        assert min(widths) >= 1, "every row of a pass brings a token"
        width = max(widths)
        starts = torch.tensor(self._lengths[first:last], device=device)[:, None]
        counts = torch.tensor(list(widths), device=device)[:, None]
        order = torch.arange(width, device=device)[None] - (width - counts)
        place = Placement(
            first=first,
            positions=starts + order.clamp(min=0),
            # Column j of a row's padding has order j - pad < 0 and goes to slot start + count + j: pad = width - count.
            slots=starts + torch.where(order >= 0, order, order + width),
            reach=max(self._lengths[first:last]) + width,
        )
        for layer in self.slot_layers:
            layer.placement = place
        for row, count in enumerate(widths, start=first):
            self._written[row] = self._lengths[row] + count
        return place

    def commit(self, row: int, count: int) -> None:
        """Keep the first `count` tokens that the last pass wrote into the row."""
        assert count >= 0, "rollback cuts a row back"
        assert self._lengths[row] + count <= self._written[row], "only what a pass has written can be kept"
        self._lengths[row] += count

    def rollback(self, row: int, length: int) -> None:
        """Cut a row back to its first `length` slots."""
        assert 0 <= length <= self._lengths[row], "a rollback goes back"
        self._lengths[row] = self._written[row] = length

    def remove(self, rows: Sequence[int]) -> None:
        """Let rows leave; those that stay move up and keep their order."""
        gone = set(rows)
        assert all(0 <= row < len(self._lengths) for row in gone), "only rows that are here can leave"
        stay = [row for row in range(len(self._lengths)) if row not in gone]
        for layer in self.slot_layers:
            layer.keep(stay)
        self._lengths = [self._lengths[row] for row in stay]
        self._written = [self._written[row] for row in stay]

    def check(self) -> None:
        """Verify every invariant; for tests, as it reads all keys and values."""
        assert len(self._lengths) == len(self._written), "one length and one high-water mark a row"
        for length, written in zip(self._lengths, self._written, strict=True):
            assert 0 <= length <= written, "a row is no longer than what was written into it"
        for layer in self.slot_layers:
            layer.check(self._written)


def _grown(store: Tensor, rows: int, slots: int) -> Tensor:
    # Zeros and not uninitialised memory: a masked slot counts with weight 0, and 0 times NaN would be NaN.
    larger = store.new_zeros(rows, store.shape[1], slots, store.shape[3])
    larger[: store.shape[0], :, : store.shape[2]] = store
    return larger
