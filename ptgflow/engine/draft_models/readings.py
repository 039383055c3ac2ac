"""What a draft model has read of the texts that it drafts for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

from ptgflow.engine.passes.interface import ModelPass
from ptgflow.engine.prefixes import shared_length
from ptgflow.engine.slots import RowInput

_CHUNK: Final = 512
"""Tokens of a text that are read in one pass."""


@dataclass(slots=True)
class Reading:
    """What it has read of one row."""

    slot: int
    read: list[int] = field(default_factory=list[int])


@final
class Readings:
    """The rows of a draft model, each with slots of its own; what is in them is what it has read."""

    def __init__(self, run: ModelPass) -> None:
        """Start without rows in the cache of a pass."""
        self._run = run
        self._rows: dict[int, Reading] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> Reading:
        return self._rows[row]

    def fork(self, row: int, source: int, length: int) -> None:
        """Copy what has been read of the first `length` tokens of another row."""
        known = self._rows.get(source)
        if known is not None:
            shared = min(length, len(known.read))
            self._rows[row] = Reading(self._run.cache.fork(known.slot, shared), known.read[:shared])

    def forget(self, row: int) -> None:
        """Give a row's slots back."""
        known = self._rows.pop(row, None)
        if known is not None:
            self._run.cache.free(known.slot)

    def catch_up(self, number: int, context: Sequence[int]) -> tuple[int, ...]:
        """Cut away what is no longer a row's text, and read on until one pass can read the rest.

        Returns:
            The rest. The last token is in it, even where it was read before: what follows it is asked for.
        """
        cache = self._run.cache
        if number not in self._rows:
            self._rows[number] = Reading(cache.admit())
        row = self._rows[number]
        shared = shared_length(row.read, context, most=len(context) - 1)
        cache.rollback(row.slot, shared)
        del row.read[shared:]
        while len(context) - len(row.read) > _CHUNK:
            tokens = tuple(context[len(row.read) :][:_CHUNK])
            self._run([RowInput(row=row.slot, tokens=tokens, wanted=False)])
            self.keep({number: tokens})
        return tuple(context[len(row.read) :])

    def keep(self, tokens: Mapping[int, Sequence[int]]) -> None:
        """Keep the first tokens that the last pass read, for each row those that are given."""
        self._run.cache.commit({self._rows[row].slot: range(len(kept)) for row, kept in tokens.items()})
        for row, kept in tokens.items():
            self._rows[row].read += kept
