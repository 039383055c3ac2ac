"""Who says what could stand in the place of an unlikely token: the model that finds it unlikely, or a masked one."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, final, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.engine.canvas.rules import CanvasAsk, Denoiser
from ptgflow.engine.edit.locating.known import Reading
from ptgflow.engine.models.model import LoadedModel

_AT_ONCE: Final = 16
"""Windows in a pass."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Doubts:
    """Unlikely tokens of one stretch of a text."""

    reading: Reading
    begin: int
    """Where the stretch begins."""
    law: Float[Tensor, "nodes vocab"]
    """Line i: log-probabilities of the i-th token from there on after the text before it."""
    places: Sequence[int]
    """Of the text, ascending; at least one."""


@runtime_checkable
class Proposer(Protocol):
    """Proposes tokens. What it says of one text must not depend on the others."""

    def laws(self, doubts: Sequence[Doubts]) -> list[Float[Tensor, "places vocab"]]:
        """For each place in doubt, how likely every token is there; logits or log-probabilities."""
        ...


@final
class ByTarget:
    """What is likely after the text before: it is known already."""

    def laws(self, doubts: Sequence[Doubts]) -> list[Float[Tensor, "places vocab"]]:
        return [one.law[[place - one.begin for place in one.places]] for one in doubts]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """A piece of prompt and text, whose doubtful places are holes."""

    at: int
    """Which doubts it is of."""
    before: tuple[int, ...]
    tokens: tuple[int, ...]
    holes: frozenset[int]
    """Places of the window that are in doubt."""
    wanted: tuple[int, ...]
    """Those that are asked for; the others another window asks for."""

    @property
    def size(self) -> int:
        return len(self.tokens)


@final
class ByMasked:
    """What is likely given both sides: the places are holes of a canvas, and a masked model says what fills them.

    Its law times the target's, a product of experts.
    """

    def __init__(self, denoiser: Denoiser, *, length: int) -> None:
        """A masked model to ask.

        Args:
            denoiser: of the target's tokens.
            length: places of a canvas, as in its training; at least 2.
        """
        assert length >= 2, "a hole has something beside it"
        self._denoiser = denoiser
        self._length = length

    def laws(self, doubts: Sequence[Doubts]) -> list[Float[Tensor, "places vocab"]]:
        """Passes over windows, in each of which the places in doubt are holes."""
        windows = [window for at, one in enumerate(doubts) for window in self._windows(at, one)]
        found: list[list[Tensor]] = [[] for _ in doubts]
        for begin in range(0, len(windows), _AT_ONCE):
            some = windows[begin : begin + _AT_ONCE]
            for window, lines in zip(some, self._filled(some), strict=True):
                found[window.at].append(lines)
        # A masked model that has little to go by is as sure of itself as one that sees much; the judge's own view of
        # the text before keeps it to what can stand there at all.
        own = ByTarget().laws(doubts)
        return [torch.cat(lines).log_softmax(dim=-1) + law for lines, law in zip(found, own, strict=True)]

    def _windows(self, at: int, one: Doubts) -> Iterator[_Window]:
        """So that each place has text on both sides, where there is some: a window may begin in the prompt."""
        prompt = one.reading.row.prompt
        whole = (*prompt, *one.reading.ask.token_ids)
        doubted = [len(prompt) + place for place in one.places]
        left = doubted
        while left:
            # The first place of a canvas is predicted by what stands before it alone.
            begin = max(left[0] - self._length // 2, 1)
            end = min(begin + self._length, len(whole))
            # Farther on, what stands behind a place would not be seen, unless the text ends there.
            last = end if end == len(whole) else begin + 3 * self._length // 4
            own = [place for place in left if place < max(last, left[0] + 1)]
            left = left[len(own) :]
            yield _Window(
                at=at,
                before=whole[:begin],
                tokens=whole[begin:end],
                holes=frozenset(place - begin for place in doubted if begin <= place < end),
                wanted=tuple(place - begin for place in own),
            )

    def _filled(self, windows: Sequence[_Window]) -> list[Tensor]:
        rows: list[int] = []
        try:
            rows += (self._denoiser.admit(one.before, one.size) for one in windows)
            return self._denoiser.predict(
                [
                    CanvasAsk(
                        row=row,
                        tokens=one.tokens,
                        holes=one.holes,
                        block=range(one.size),
                        wanted=one.wanted,
                    )
                    for row, one in zip(rows, windows, strict=True)
                ]
            )
        finally:
            for row in rows:
                self._denoiser.free(row)


def likeliest(
    doubts: Doubts, laws: Float[Tensor, "places vocab"], never: Int[Tensor, " never"], count: int
) -> list[list[int]]:
    """For each place its likeliest tokens, without the one that stands there.

    Args:
        doubts: the places.
        laws: what is said of each.
        never: tokens that no text holds.
        count: tokens a place.
    """
    ids = doubts.reading.ask.token_ids
    laws = laws.clone()
    laws[:, never] = -math.inf
    laws[range(len(laws)), [ids[place] for place in doubts.places]] = -math.inf
    return laws.topk(min(count, laws.shape[1])).indices.tolist()


def never_written(model: LoadedModel) -> Int[Tensor, " never"]:
    """Special tokens of a model."""
    special = {*model.codec.tokenizer.all_special_ids, *model.codec.eos_ids}
    return torch.tensor(sorted(one for one in special if one < model.vocab_size), device=model.device)
