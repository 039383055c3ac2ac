"""An answer with what its editors did to it: what stayed, what came, and what went."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from ptgflow.engine.edit.changes import Changes
from ptgflow.executors.result import Result, StageRecord

State = Literal["kept", "added", "removed"]
_ALWAYS: Final = -1
"""Born before the first round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A stretch of characters."""

    text: str
    state: State


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    born: int
    """The round that wrote it."""
    died: int
    """The round that took it out."""


def marked(text: str, rounds: Sequence[Changes]) -> list[Marked]:
    """What some rounds made of a text. What came and went again is not told.

    Args:
        text: after the last round; its end may have been cut off since.
        rounds: in order.
    """
    return _told(_pieces([_Piece(text, _ALWAYS, len(rounds))], rounds, last=len(rounds) - 1), len(rounds))


def marked_answer(result: Result) -> list[Marked]:
    """The same of an answer: edits of its segments, and those of the whole.

    What another stage has rewritten since is not told: its edits are in the trace alone.
    """
    behind = _rounds(result.whole)
    count = len(behind)
    pieces = _pieces([_Piece(result.text, _ALWAYS, count)], behind, last=count - 1)
    # The text as it was merged, and the edits of its parts, which came before.
    base = "".join(one.text for one in pieces if one.born == _ALWAYS)
    at, told = 0, list[tuple[int, int, list[_Piece]]]()
    for segment in result.segments:
        rounds = _rounds(segment.stages)
        begin = base.find(segment.text, at) if segment.text and rounds else -1
        if begin >= 0:
            own = _pieces([_Piece(segment.text, _ALWAYS, len(rounds))], rounds, last=len(rounds) - 1)
            told.append((begin, begin + len(segment.text), own))
            at = begin + len(segment.text)
    return _told(list(_nested(pieces, told, count)), count)


def _rounds(stages: Sequence[StageRecord]) -> list[Changes]:
    """Rounds of the editors that nothing stands behind that writes."""
    found: list[Changes] = []
    for stage in reversed(stages):
        if not stage.method.startswith("edit/"):
            break
        found[:0] = stage.edits
    return found


def _pieces(pieces: list[_Piece], rounds: Sequence[Changes], *, last: int) -> list[_Piece]:
    """Told from the last round on: where a change is, is known of the text that it leaves."""
    for number in range(last, -1, -1):
        shift = 0
        for change in rounds[number]:
            begin = change.begin + shift
            pieces = _cut(pieces, number, begin, begin + len(change.new), change.old)
            shift += len(change.new) - len(change.old)
    return pieces


def _cut(pieces: Sequence[_Piece], number: int, begin: int, end: int, old: str) -> list[_Piece]:
    """What round `number` wrote from `begin` to `end` of what is visible after it, behind what it took out there."""
    found: list[_Piece] = []
    at, gone = 0, _Piece(old, _ALWAYS, number) if old else None
    for piece in pieces:
        # Of this round is what it has marked already: text that another of its changes took out was not there after it.
        visible = piece.died > number and piece.born <= number
        size = len(piece.text) if visible else 0
        if gone is not None and visible and at <= begin < at + size:
            low = begin - at
            found += _split(piece, 0, low)
            found.append(gone)
            gone = None
            found += _written(piece, low, min(end - at, size), number)
        elif visible and begin < at + size and at < end:
            low, high = max(begin - at, 0), min(end - at, size)
            found += _split(piece, 0, low)
            found += _written(piece, low, high, number)
        else:
            found.append(piece)
        at += size
    if gone is not None and at == begin:
        found.append(gone)
    return found


def _written(piece: _Piece, low: int, high: int, number: int) -> Iterator[_Piece]:
    yield from (replace(one, born=number) for one in _split(piece, low, high))
    yield from _split(piece, max(low, high), len(piece.text))


def _split(piece: _Piece, low: int, high: int) -> list[_Piece]:
    return [replace(piece, text=piece.text[low:high])] if low < high else []


def _nested(pieces: Sequence[_Piece], told: Sequence[tuple[int, int, list[_Piece]]], count: int) -> Iterator[_Piece]:
    """The pieces of a whole, in which those of its parts stand for their texts."""
    at = 0
    for piece in pieces:
        if piece.born != _ALWAYS:
            yield piece
            continue
        begin, end = at, at + len(piece.text)
        for first, last, own in told:
            if last <= at or first >= end:
                continue
            yield from _split(piece, at - begin, max(first - begin, at - begin))
            low, high = max(first, at) - first, min(last, end) - first
            yield from _part(own, low, high, piece.died, count)
            at = min(last, end)
        yield from _split(piece, at - begin, len(piece.text))
        at = end


def _part(own: Sequence[_Piece], low: int, high: int, died: int, count: int) -> Iterator[_Piece]:
    """Pieces of a part's text from `low` to `high`, with what was taken out between them."""
    at = 0
    rounds = max((one.died for one in own), default=0)
    for piece in own:
        here = piece.died == rounds
        size = len(piece.text) if here else 0
        if not here and low <= at < max(high, low + 1) and piece.born == _ALWAYS:
            yield _Piece(piece.text, _ALWAYS, -2)
        for one in _split(piece, max(low - at, 0), min(high - at, size)) if here else []:
            added = one.born != _ALWAYS
            if not added or died == count:
                yield _Piece(one.text, 0 if added else _ALWAYS, died)
        at += size


def _told(pieces: Sequence[_Piece], count: int) -> list[Marked]:
    found: list[Marked] = []
    for piece in pieces:
        here = piece.died == count
        if not piece.text or (not here and piece.born != _ALWAYS):
            continue
        state: State = "removed" if not here else "kept" if piece.born == _ALWAYS else "added"
        if found and found[-1].state == state:
            found[-1] = Marked(text=found[-1].text + piece.text, state=state)
        else:
            found.append(Marked(text=piece.text, state=state))
    return found
