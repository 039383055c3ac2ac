"""A text read twice: by the model itself from left to right, and with adapters that see both sides.

The second reading is that of masked generation without any hole: windows of the text in which the adapters are on and
all places see each other, each behind the text before it as the model itself reads it. So what heads learn here fits
the adapters that fill what they open.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.gated_pass import GatedPass, Seen
from ptgflow.engine.edit.policies.sighting import Sighting
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree

_STRETCH: Final = 512
"""Most tokens of a pass."""
_SCALE: Final = 8.0
"""Nats that count as much as one in what heads read."""


@dataclass(slots=True)
class _Text:
    prompt: tuple[int, ...]
    slot: int | None = None


@dataclass(slots=True)
class _Seen:
    """What is known of one text in one reading."""

    tokens: tuple[int, ...]
    own: list[Tensor] = field(default_factory=list[Tensor])
    own_facts: list[Tensor] = field(default_factory=list[Tensor])
    both: list[Tensor] = field(default_factory=list[Tensor])
    both_facts: list[Tensor] = field(default_factory=list[Tensor])

    def sighting(self) -> Sighting:
        facts = torch.cat((torch.cat(self.own_facts), torch.cat(self.both_facts)), dim=-1)
        before = facts.new_zeros(1, facts.shape[1])
        states = torch.cat((torch.cat(self.own), torch.cat(self.both)), dim=-1)
        return Sighting(states, torch.cat((before, facts)).clamp(min=-24.0) / _SCALE)


@final
class TextReader:
    """Texts behind prompts, many at once; what is kept from one reading to the next is the prompt."""

    def __init__(self, gated: GatedPass, taps: Sequence[int], window: int) -> None:
        """Prepare.

        Args:
            gated: the model with its adapters.
            taps: which states are looked at.
            window: places that see each other; a quarter of them at its end are told of in the next window.
        """
        self._pass = gated
        self._cache = gated.new_cache()
        self._taps = tuple(taps)
        self._ahead = window // 4
        self._step = window - self._ahead
        self._texts: dict[int, _Text] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._texts)

    def admit(self, prompt: tuple[int, ...]) -> int:
        """A row behind a prompt of at least one token; its number."""
        assert prompt, "the first token is judged by what stands before it"
        self._next += 1
        self._texts[self._next] = _Text(prompt)
        return self._next

    def free(self, row: int) -> None:
        """Drop a row's keys and values."""
        slot = self._texts.pop(row).slot
        if slot is not None:
            self._cache.free(slot)

    def read(self, texts: Mapping[int, Sequence[int]]) -> dict[int, Sighting]:
        """Read the text of each row, whatever it was before.

        Raises:
            SlotsFullError: there is no memory for the texts.
        """
        found: dict[int, Sighting] = {}
        for some in self._together(texts):
            seen = {row: _Seen(tuple(texts[row])) for row in some}
            self._forward(seen)
            self._windows(seen)
            found |= {row: one.sighting() for row, one in seen.items()}
        return found

    def laws(self, texts: Mapping[int, Sequence[int]]) -> dict[int, Float[Tensor, "tokens vocab"]]:
        """Log-probabilities at each token of the text of each row, as the model itself reads it."""
        found: dict[int, list[Tensor]] = {row: [] for row in texts}
        for some in self._together(texts):
            self._forward({row: _Seen(tuple(texts[row])) for row in some}, found)
            for row in some:
                self._cache.rollback(self._slot(row), len(self._texts[row].prompt) - 1)
        return {row: torch.cat(laws) for row, laws in found.items()}

    def _together(self, texts: Mapping[int, Sequence[int]]) -> Iterator[list[int]]:
        """Rows in groups of which one window each has room in a pass."""
        rows, most = list(texts), max(_STRETCH // (self._step + self._ahead), 1)
        for begin in range(0, len(rows), most):
            yield rows[begin : begin + most]

    def _forward(self, seen: Mapping[int, _Seen], laws: Mapping[int, list[Tensor]] | None = None) -> None:
        """The model's own reading, whose keys and values stay."""
        stretch = max(_STRETCH // len(seen), 16)
        for row in seen:
            self._cache.rollback(self._slot(row), len(self._texts[row].prompt) - 1)
        at = 0
        going = dict(seen)
        while going:
            inputs = [
                RowInput(
                    row=self._slot(row),
                    tokens=(one.tokens[at - 1] if at else self._texts[row].prompt[-1],),
                    tree=TokenTree.chain(one.tokens[at : at + stretch]),
                )
                for row, one in going.items()
            ]
            found = self._pass.seen(self._cache, inputs, self._taps)
            # The last token is read again with what stands behind it.
            self._cache.commit({one.row: range(len(one.tree)) for one in inputs})
            for (row, one), (logits, states) in zip(going.items(), _split(found, inputs), strict=True):
                shown = one.tokens[at : at + stretch]
                one.own.append(states[1:] if at else states)
                one.own_facts.append(_facts(logits, shown, entropy=True))
                if laws is not None:
                    laws[row].append(logits[: len(shown)].log_softmax(dim=-1))
            at += stretch
            going = {row: one for row, one in going.items() if at < len(one.tokens)}

    def _windows(self, seen: Mapping[int, _Seen]) -> None:
        """The reading of both sides, from the last window to the first, as the text before each is there already."""
        last = {row: max(len(one.tokens) - 1, 0) // self._step for row, one in seen.items()}
        for number in range(max(last.values()), -1, -1):
            begin = number * self._step
            rows = {row: one for row, one in seen.items() if last[row] >= number}
            inputs: list[RowInput] = []
            for row, one in rows.items():
                prompt, slot = self._texts[row].prompt, self._slot(row)
                self._cache.rollback(slot, len(prompt) - 1 + begin)
                shown = one.tokens[begin : begin + self._step + self._ahead]
                before = one.tokens[begin - 1] if begin else prompt[-1]
                inputs.append(RowInput(row=slot, tokens=(before,), tree=TokenTree.chain(shown), mutual=True))
            found = self._pass.seen(self._cache, inputs, self._taps)
            for one, (logits, states) in zip(rows.values(), _split(found, inputs), strict=True):
                own = one.tokens[begin : begin + self._step]
                one.both.insert(0, states[1 if begin else 0 : 1 + len(own)])
                one.both_facts.insert(0, _facts(logits, own, entropy=False))

    def _slot(self, row: int) -> int:
        """The slot of a row, whose prompt is read but for its last token."""
        text = self._texts[row]
        if text.slot is None:
            slot = self._cache.admit()
            try:
                for begin in range(0, len(text.prompt) - 1, _STRETCH):
                    some = text.prompt[begin : min(begin + _STRETCH, len(text.prompt) - 1)]
                    self._pass.seen(self._cache, [RowInput(row=slot, tokens=some, wanted=False)], ())
                    self._cache.commit({slot: range(len(some))})
            except MemoryError:
                self._cache.free(slot)
                raise
            text.slot = slot
        return text.slot


def _split(found: Seen, inputs: Sequence[RowInput]) -> list[tuple[Tensor, Tensor]]:
    sizes = [1 + len(one.tree) for one in inputs]
    return list(zip(torch.split(found.logits, sizes), torch.split(found.states, sizes), strict=True))


def _facts(
    logits: Float[Tensor, "lines vocab"], tokens: Sequence[int], *, entropy: bool
) -> Float[Tensor, "tokens facts"]:
    """What the line before each token says of it."""
    law = logits[: len(tokens)].log_softmax(dim=-1)
    ids = torch.tensor(tokens, dtype=torch.long, device=law.device)[:, None]
    score = law.gather(1, ids)
    columns = [score, score - law.amax(dim=-1, keepdim=True)]
    if entropy:
        columns.append(-(law.exp() * law).nan_to_num(0.0).sum(dim=-1, keepdim=True))
    return torch.cat(columns, dim=-1)
