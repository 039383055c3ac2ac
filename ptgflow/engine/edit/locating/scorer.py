"""Texts of many rows scored by a model: what they share is read once, and what did not change is not read again."""

from collections.abc import Sequence
from typing import Final, final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.kept_texts import KeptTexts
from ptgflow.engine.edit.locating.known import Known, Reading
from ptgflow.engine.edit.rules import EditAsk
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.interface import ModelPass
from ptgflow.engine.slots import RowInput, SlotCache
from ptgflow.engine.trees import TokenTree

_FORKS: Final = 16
"""Places at which branches are scored in a pass."""


@final
class _Reader:
    """A pass of the model itself, which has its cache already."""

    def __init__(self, run: ModelPass) -> None:
        self._run = run

    def new_cache(self, budget: int | None = None) -> SlotCache:
        assert budget is None, "the pass was opened with its budget"
        return self._run.cache

    def __call__(self, cache: SlotCache, inputs: Sequence[RowInput]) -> Tensor:
        del cache
        return self._run(inputs)


@final
class Scorer:
    """Keys and values of prompts and texts, in slots of their own."""

    def __init__(self, model: LoadedModel) -> None:
        """Open a pass of the model.

        Raises:
            RunError: whatever opening a pass raises.
        """
        self._pass = model.open_pass()
        self._texts = KeptTexts(_Reader(self._pass))
        self._context = model.context_length
        self._start = model.codec.start_id
        self._rows: dict[int, Known] = {}
        self._numbers: dict[int, int] = {}
        """Of rows that are read, or will be in this round."""
        self._last: int | None = None
        """A text that has ended, since the next one may begin as it did: the parts of an answer come one by one."""

    def opened(self, ask: EditAsk, ahead: int) -> Reading:
        """A text that is read as far as it was before, up to `ahead` tokens before the first that has changed."""
        row = self._rows.setdefault(ask.row, Known(ask.prompt_ids or (self._start,)))
        at = row.unchanged(ask.token_ids, ahead) if ask.row in self._numbers else 0
        if ask.row not in self._numbers:
            self._numbers[ask.row] = self._texts.admit(row.prompt)
        row.read, row.scored, row.moved = ask.token_ids, row.scored[:at], False
        row.tried = {(place, token) for place, token in row.tried if place < at}
        return Reading(ask, row, self._numbers[ask.row], at)

    def free(self, row: int) -> None:
        """Forget a text; what it begins with is known until another one ends."""
        self._rows.pop(row, None)
        number = self._numbers.pop(row, None)
        if number is None:
            return
        if self._last is not None:
            self._texts.free(self._last)
        self._last = number

    def drop(self, row: int) -> None:
        """Free the memory that a text takes, and that of the last one; it is read anew when it is wanted again."""
        for number in (self._numbers.pop(row, None), self._last):
            if number is not None:
                self._texts.free(number)
        self._last = None

    def score(self, readings: Sequence[Reading], ahead: int) -> list[Float[Tensor, "nodes vocab"]]:
        """The next stretch of each text: log-probabilities at each of its places, and at as many behind as count.

        Raises:
            SlotsFullError: there is no memory for so many.
        """
        for one in readings:
            self._make_room(one, ahead)
        ends = self._texts.ready({one.number: one.ask.token_ids[one.left : one.at] for one in readings})
        shown = [one.shown(ahead) for one in readings]
        inputs = [
            # What follows the last token is not asked.
            RowInput(row=ends[one.number].row, tokens=ends[one.number].tokens, tree=TokenTree.chain(tokens[:-1]))
            for one, tokens in zip(readings, shown, strict=True)
        ]
        laws = list(torch.split(self._pass(inputs).log_softmax(dim=-1), [len(tokens) for tokens in shown]))
        read = {
            one.number: RowInput(row=given.row, tokens=(*given.tokens, *tokens[: len(one.stretch) - 1]))
            for one, given, tokens in zip(readings, inputs, shown, strict=True)
        }
        self._texts.commit(read)
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
            forks: list[int] = []
            try:
                forks += (self._forked(one, place) for one, place in some)
                inputs = [
                    RowInput(row=fork, tokens=(one.before(place),), tree=tree)
                    for fork, (one, place), tree in zip(forks, some, own, strict=True)
                ]
                found += torch.split(self._pass(inputs).log_softmax(dim=-1), [1 + len(tree) for tree in own])
            finally:
                for fork in forks:
                    self._pass.cache.free(fork)
        return found

    def _forked(self, one: Reading, place: int) -> int:
        """What is before the token before a place, once more."""
        slot = self._texts.slot(one.number)
        assert slot is not None, "the text is read beyond the place"
        return self._pass.cache.fork(slot, len(one.row.prompt) + place - one.left - 1)

    def _make_room(self, one: Reading, ahead: int) -> None:
        """A text that is longer than the model's context goes on behind its prompt and half of what has room there."""
        prompt, shown = len(one.row.prompt), len(one.shown(ahead))
        if prompt + one.at - one.left + shown > self._context and one.at:
            one.left = max(one.at - max((self._context - prompt - 1 - shown) // 2, 1), 0)
            one.row.moved = True
