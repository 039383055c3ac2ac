"""Edits of tokens told as changes of the text: only those that begin and end between characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ptgflow.engine.edit.changes import Change, applied
from ptgflow.engine.edit.places import char_starts, said_behind
from ptgflow.engine.edit.rules import Revision
from ptgflow.engine.models.codec import Codec

_BROKEN: Final = "\ufffd"
"""What a part of a character decodes to."""
HOLE: Final = -1
"""Stands for a token that somebody else is to write."""
HOLE_SIGN: Final = "\u25a2"
"""What a change says where there is one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One token of what a text becomes."""

    token: int
    """HOLE: none yet."""
    score: float = 0.0
    """Log-probability of its being there; 0 of one that stays."""
    origin: int | None = None
    """Where it stood, if it stays; ascending from step to step."""
    moved: bool = False
    """Whether it stood elsewhere."""


@dataclass(slots=True)
class _Hunk:
    """Tokens next to each other that become others."""

    begin: int
    end: int
    """Of the old tokens."""
    steps: list[Step]


def revision_of(
    codec: Codec,
    text: str,
    token_ids: Sequence[int],
    steps: Sequence[Step],
    dropped: Sequence[float],
    *,
    by: str,
) -> Revision:
    """What some steps make of a text. An edit that would split a character is left out.

    Args:
        codec: of the tokens.
        text: before.
        token_ids: its tokens.
        steps: what it becomes.
        dropped: for each old token the log-probability of its going.
        by: the editor.
    """
    starts: list[int | None] | None = None
    changes: list[Change] = []
    after: list[int] = []
    at = 0
    for hunk in _hunks(steps, len(token_ids)):
        starts = char_starts(codec, text, token_ids) if starts is None else starts
        after += token_ids[at : hunk.begin]
        change = _change(codec, text, token_ids, hunk, starts, dropped, by)
        # What lies between two edits of one character is that character's.
        if change is None or (changes and change.begin < changes[-1].end):
            after += token_ids[hunk.begin : hunk.end]
        else:
            changes.append(change)
            after += (step.token for step in hunk.steps)
        at = hunk.end
    after += token_ids[at:]
    if not changes:
        return Revision()
    # Tokens that were not written one after the other need not be those that the text is encoded as, but they say it.
    same = HOLE in after or codec.decode(after) == applied(text, changes)
    return Revision(changes=tuple(changes), token_ids=tuple(after) if same else None)


def _hunks(steps: Sequence[Step], tokens: int) -> list[_Hunk]:
    """What lies between tokens that stay."""
    found: list[_Hunk] = []
    begin, written = 0, list[Step]()
    for step in (*steps, Step(HOLE, origin=tokens)):
        if step.origin is None:
            written.append(step)
            continue
        if written or step.origin > begin:
            found.append(_Hunk(begin, step.origin, written))
        begin, written = step.origin + 1, []
    return found


def _change(
    codec: Codec,
    text: str,
    token_ids: Sequence[int],
    hunk: _Hunk,
    starts: Sequence[int | None],
    dropped: Sequence[float],
    by: str,
) -> Change | None:
    """The change in characters; None where there is none."""
    begin, end = starts[hunk.begin], starts[hunk.end]
    if begin is None or end is None:
        return None
    tokens = [step.token for step in hunk.steps]
    new = (
        HOLE_SIGN * len(tokens)
        if HOLE in tokens
        else said_behind(codec, token_ids[max(hunk.begin - 1, 0) : hunk.begin], tokens)
    )
    old = text[begin:end]
    if new is None or new == old or _BROKEN in new:
        return None
    scores = [*dropped[hunk.begin : hunk.end], *(step.score for step in hunk.steps)]
    moved = sum(step.moved for step in hunk.steps)
    told = (("deleted", hunk.end - hunk.begin), ("inserted", len(hunk.steps) - moved), ("moved", moved))
    why = ", ".join(f"{what} {count}" for what, count in told if count)
    return Change(begin=begin, old=old, new=new, by=by, why=why, score=min(scores))
