"""Rewritten places of a text: applied, undone, and followed through later ones."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from ptgflow.engine.prefixes import shared_length

_PIECES: Final = re.compile(r"\s+|\w+|[^\w\s]")
"""What a difference is told in: words, marks and the space between them."""
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One place that was rewritten."""

    begin: int
    """Where it begins, in characters of the text before."""
    old: str
    """What stood there; empty for an insertion."""
    new: str
    by: str
    """Who rewrote it: the editor's name."""
    why: str
    """In the editor's own terms."""
    score: float = 0.0
    """Log-probability of the decision, in nats, at most 0."""

    @property
    def end(self) -> int:
        return self.begin + len(self.old)


Changes = tuple[Change, ...]
"""Of one round: ascending, none over another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What was written to stand in the place of a text, and was not good enough: the text stayed."""

    round: int
    """From 0."""
    text: str
    by: str
    """The editor's name."""
    why: str


def applied(text: str, changes: Sequence[Change]) -> str:
    """The text after one round.

    Raises:
        ValueError: changes that are not in order, or that say of the text what is not so.
    """
    parts: list[str] = []
    at = 0
    for change in changes:
        if change.begin < at:
            raise ValueError(f"a change at {change.begin} lies before {at}, where the one before it ends")
        if text[change.begin : change.end] != change.old:
            raise ValueError(f"{change.old!r} is not what stands at {change.begin}")
        parts += (text[at : change.begin], change.new)
        at = change.end
    return "".join((*parts, text[at:]))


def undone(text: str, changes: Sequence[Change]) -> str:
    """The text before one round, from the one after it.

    Raises:
        ValueError: the text is not what these changes left.
    """
    shift = 0
    back: list[Change] = []
    for change in changes:
        back.append(Change(begin=change.begin + shift, old=change.new, new=change.old, by=change.by, why="undo"))
        shift += len(change.new) - len(change.old)
    return applied(text, back)


def between(before: str, after: str, *, by: str, why: str, score: float = 0.0) -> Changes:
    """What turns one text into another, told in whole words."""
    old, new = _PIECES.findall(before), _PIECES.findall(after)
    starts = [0]
    for piece in old:
        starts.append(starts[-1] + len(piece))
    return tuple(
        Change(begin=starts[i], old="".join(old[i:j]), new="".join(new[k:n]), by=by, why=why, score=score)
        for kind, i, j, k, n in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if kind != "equal"
    )


def carried(before: Sequence[int], after: Sequence[int], values: Sequence[ValueT], other: ValueT) -> tuple[ValueT, ...]:
    """What belongs to each token of a text, of a kept one what belonged to it before.

    Args:
        before: the tokens of the text before.
        after: those of the text now.
        values: what belonged to each token before.
        other: what belongs to a token that was not kept.
    """
    # Both ends first: a long text is mostly changed in one place, and comparing all takes the square of its length.
    begin = shared_length(before, after)
    end = shared_length(before[begin:][::-1], after[begin:][::-1])
    old, new = before[begin : len(before) - end], after[begin : len(after) - end]
    inner = [other] * len(new)
    for block in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        inner[block.b : block.b + block.size] = values[begin + block.a : begin + block.a + block.size]
    return (*values[:begin], *inner, *values[len(before) - end :])


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A stretch of the text as it is now that some round wrote."""

    begin: int
    end: int
    """Behind its last character; where it begins, if something was only taken out there."""
    score: float


def followed(marks: Iterable[Mark], changes: Sequence[Change]) -> tuple[Mark, ...]:
    """Marks of the text before a round as marks of the text after it, and those of the round itself.

    What a later change overwrites is that change's; what it cuts is shortened to what is left.
    """
    found: list[Mark] = []
    shift = 0
    ends: list[tuple[int, int, int]] = []
    for change in changes:
        begin = change.begin + shift
        found.append(Mark(begin=begin, end=begin + len(change.new), score=change.score))
        shift += len(change.new) - len(change.old)
        ends.append((change.begin, change.end, shift))
    for mark in marks:
        pieces = [(mark.begin, mark.end)]
        for begin, end, _ in ends:
            pieces = [
                piece
                for low, high in pieces
                for piece in ((low, min(high, begin)), (max(low, end), high))
                if piece[0] < piece[1]
            ]
        for low, high in pieces:
            moved = next((shift for _, end, shift in reversed(ends) if end <= low), 0)
            found.append(Mark(begin=low + moved, end=high + moved, score=mark.score))
    return tuple(sorted(found, key=lambda one: (one.begin, one.end)))
