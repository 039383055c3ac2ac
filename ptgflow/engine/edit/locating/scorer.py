"""Texts of many rows scored by a model: their prompts and what did not change since the last time stay read."""

from collections.abc import Sequence
from typing import Final, final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.edit.locating.known import Known, Reading
from ptgflow.engine.edit.rules import EditAsk
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree

_READ: Final = 512
"""Tokens of a prompt that are read in a pass."""
_FORKS: Final = 16
"""Places at which branches are scored in a pass."""


@final
class Scorer:
    """Keys and values of prompts and texts, in slots of their own."""

    def __init__(self, model: LoadedModel) -> None:
        """Open a pass of the model.

        Raises:
            RunError: whatever opening a pass raises.
        """
        self._pass = model.open_pass()
        self._context = model.context_length
        self._start = model.codec.start_id
        self._rows: dict[int, Known] = {}
        self._slots: dict[int, int] = {}

    def opened(self, ask: EditAsk, ahead: int) -> Reading:
        """A text that is read as far as it was before, up to `ahead` tokens before the first that has changed.

        Raises:
            SlotsFullError: there is no memory for its prompt.
        """
        row = self._rows.setdefault(ask.row, Known(ask.prompt_ids or (self._start,)))
        at = row.unchanged(ask.token_ids, ahead) if ask.row in self._slots else 0
        if ask.row not in self._slots:
            self._slots[ask.row] = self._pass.cache.admit()
            self._take_in(self._slots[ask.row], row.prompt[:-1])
        slot = self._slots[ask.row]
        self._pass.cache.rollback(slot, len(row.prompt) - 1 + at)
        row.read, row.scored, row.moved = ask.token_ids, row.scored[:at], False
        row.tried = {(place, token) for place, token in row.tried if place < at}
        return Reading(ask, row, slot, at)

    def free(self, row: int) -> None:
        """Forget a text."""
        self._rows.pop(row, None)
        self.drop(row)

    def drop(self, row: int) -> None:
        """Free the memory that a text takes; it is read anew when it is wanted again."""
        if row in self._slots:
            self._pass.cache.free(self._slots.pop(row))

    def score(self, readings: Sequence[Reading], ahead: int) -> list[Float[Tensor, "nodes vocab"]]:
        """The next stretch of each text: log-probabilities at each of its places, and at as many behind as count.

        Raises:
            SlotsFullError: there is no memory for so many.
        """
        for one in readings:
            self._make_room(one, ahead)
        shown = [one.shown(ahead) for one in readings]
        inputs = [
            # What follows the last token is not asked.
            RowInput(row=one.slot, tokens=(one.before(one.at),), tree=TokenTree.chain(tokens[:-1]))
            for one, tokens in zip(readings, shown, strict=True)
        ]
        laws = list(torch.split(self._pass(inputs).log_softmax(dim=-1), [len(tokens) for tokens in shown]))
        self._pass.cache.commit({one.slot: range(len(one.stretch)) for one in readings})
        for one, law in zip(readings, laws, strict=True):
            tokens = torch.tensor([one.ask.token_ids[place] for place in one.stretch], device=law.device)
            one.row.scored += law[: len(tokens)].gather(1, tokens[:, None])[:, 0].tolist()
            one.at = one.stretch.stop
        return laws

    def branch(
        self, places: Sequence[tuple[Reading, int]], trees: Sequence[TokenTree]
    ) -> list[Float[Tensor, "nodes vocab"]]:
        """Log-probabilities after the token before each place, and after each node of its tree.

        Args:
            places: of texts that are read beyond them.
            trees: what could follow the token before each.

        Raises:
            SlotsFullError: there is no memory for so many.
        """
        found: list[Tensor] = []
        for begin in range(0, len(places), _FORKS):
            some, own = places[begin : begin + _FORKS], trees[begin : begin + _FORKS]
            cache, forks = self._pass.cache, list[int]()
            try:
                # What is read of a text ends before its last token that is scored.
                forks += (cache.fork(one.slot, cache.length(one.slot) - one.at + place) for one, place in some)
                inputs = [
                    RowInput(row=fork, tokens=(one.before(place),), tree=tree)
                    for fork, (one, place), tree in zip(forks, some, own, strict=True)
                ]
                found += torch.split(self._pass(inputs).log_softmax(dim=-1), [1 + len(tree) for tree in own])
            finally:
                for fork in forks:
                    cache.free(fork)
        return found

    def _take_in(self, slot: int, tokens: Sequence[int]) -> None:
        """Read what is not scored."""
        for begin in range(0, len(tokens), _READ):
            some = tuple(tokens[begin : begin + _READ])
            self._pass([RowInput(row=slot, tokens=some, wanted=False)])
            self._pass.cache.commit({slot: range(len(some))})

    def _make_room(self, one: Reading, ahead: int) -> None:
        """A text that is longer than the model's context goes on behind its prompt and half of what has room there."""
        prompt, slot, ids = one.row.prompt, one.slot, one.ask.token_ids
        needed = 1 + len(one.shown(ahead))
        if self._pass.cache.length(slot) + needed <= self._context or not one.at:
            return
        kept = max((self._context - len(prompt) - needed) // 2, 1)
        self._pass.cache.rollback(slot, len(prompt) - 1)
        self._take_in(slot, (prompt[-1], *ids[max(one.at - kept, 0) : one.at - 1]))
        one.row.moved = True
