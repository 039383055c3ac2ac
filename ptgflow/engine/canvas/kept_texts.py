"""Texts of many rows and their keys and values: read once, shared where they begin alike, in stretches."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, final

from torch import Tensor

from ptgflow.engine.prefixes import Shared, shared_beginning, shared_length
from ptgflow.engine.slots import RowInput, SlotCache

STRETCH: Final = 512
"""Most tokens of texts in a pass: what more of them compute together no longer lies in a processor's caches."""


@dataclasses.dataclass(slots=True)
class _Text:
    prompt: tuple[int, ...]
    slot: int | None = None
    """None until something of it is read."""
    read: list[int] = dataclasses.field(default_factory=list[int])
    """Whose keys and values are kept."""


class TextPass(Protocol):
    """What reads texts into a cache."""

    def new_cache(self, budget: int | None = None) -> SlotCache:
        """Slots for texts, in at most `budget` bytes."""
        ...

    def __call__(self, cache: SlotCache, inputs: Sequence[RowInput]) -> Tensor:
        """Read."""
        ...


@final
class KeptTexts:
    """Which tokens of each row's text are in the cache. Texts may change from pass to pass, and adapters are off."""

    def __init__(self, reading: TextPass, *, budget: int | None = None) -> None:
        """Keep at most `budget` bytes; None: no bound."""
        self._pass = reading
        self.cache: Final = reading.new_cache(budget)
        self._texts: dict[int, _Text] = {}
        self._next = 0

    def admit(self, prompt: tuple[int, ...]) -> int:
        """A row whose text begins with a prompt of at least one token."""
        assert prompt, "the first place is predicted by the token before it"
        self._next += 1
        self._texts[self._next] = _Text(prompt)
        return self._next

    def free(self, row: int) -> None:
        """Drop a row's keys and values."""
        slot = self._texts.pop(row).slot
        if slot is not None:
            self.cache.free(slot)

    def slot(self, row: int) -> int | None:
        """Where a row's keys and values are; None until something of it is read."""
        return self._texts[row].slot

    def ready(self, behind: Mapping[int, Sequence[int]]) -> dict[int, RowInput]:
        """Make ready to read the ends of some rows' texts, of each at least its last token.

        Args:
            behind: of each row what stands behind its prompt.

        Raises:
            SlotsFullError: there is no memory for the new tokens.
        """
        texts = {row: [*self._texts[row].prompt, *more] for row, more in behind.items()}
        for row, text in texts.items():
            self._cut_back(self._texts[row], text)
        while stretch := self._stretch(texts):
            self._pass(self.cache, list(stretch.values()))
            self.commit(stretch)
        found: dict[int, RowInput] = {}
        for row, text in texts.items():
            kept = self._texts[row]
            assert kept.slot is not None, "no row waits for another one any more"
            found[row] = RowInput(row=kept.slot, tokens=tuple(text[len(kept.read) :]))
        return found

    def commit(self, inputs: Mapping[int, RowInput]) -> None:
        """Keep what a pass has read of the rows' texts."""
        self.cache.commit({one.row: range(len(one.tokens)) for one in inputs.values()})
        for row, one in inputs.items():
            self._texts[row].read += one.tokens

    def _cut_back(self, kept: _Text, text: list[int]) -> None:
        """What was opened again, or read in another round as text, is read anew; the last token always is."""
        known = min(shared_length(kept.read, text), len(text) - 1)
        if kept.slot is not None and known < len(kept.read):
            self.cache.rollback(kept.slot, known)
            del kept.read[known:]

    def _stretch(self, texts: Mapping[int, list[int]]) -> dict[int, RowInput]:
        """What is read ahead of the ends; nothing, if these are short enough for one pass and no row waits."""
        waiting = [row for row in texts if not self._placed(row, texts)]
        left = sum(len(text) - len(self._texts[row].read) for row, text in texts.items())
        if not waiting and left <= STRETCH:
            return {}
        found: dict[int, RowInput] = {}
        room = STRETCH
        for row, text in texts.items():
            kept = self._texts[row]
            some = tuple(text[len(kept.read) : -1][:room])
            if kept.slot is not None and some:
                found[row] = RowInput(row=kept.slot, tokens=some, wanted=False)
                room -= len(some)
        return found

    def _placed(self, row: int, texts: Mapping[int, list[int]]) -> bool:
        """Give a row a slot, with what it shares with an earlier one; False while that has not read it."""
        kept = self._texts[row]
        if kept.slot is None:
            shared = self._shared(row, texts)
            if shared is None:
                kept.slot = self.cache.admit()
            else:
                other = self._texts[shared.row]
                if other.slot is None or len(other.read) < shared.length:
                    return False
                kept.slot = self.cache.fork(other.slot, shared.length)
                kept.read = other.read[: shared.length]
        return True

    def _shared(self, row: int, texts: Mapping[int, list[int]]) -> Shared | None:
        """The longest beginning in common with an earlier row, of what that has read or is about to read."""
        others = {
            other: texts[other][:-1] if other in texts else kept.read
            for other, kept in self._texts.items()
            if other < row
        }
        return shared_beginning(texts[row], others)
