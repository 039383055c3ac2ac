"""Where tokens stand in their text, and what belongs to those of another tokenizer."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from ptgflow.engine.models.codec import Codec

ValueT = TypeVar("ValueT")
_LONGEST: Final = 16
"""Most tokens of one character, and of what surrounds it."""


def char_starts(codec: Codec, text: str, token_ids: Sequence[int]) -> list[int | None]:
    """Where each token begins in the text, and where the last one ends; None: inside of a character."""
    starts: list[int | None] = [0]
    at, pending, before = 0, list[int](), list[int]()
    for token in token_ids:
        pending.append(token)
        piece = said_behind(codec, before, pending)
        if piece is not None and len(pending) <= _LONGEST and text.startswith(piece, at):
            at += len(piece)
            starts.append(at)
            before, pending = [token], []
        else:
            starts.append(None)
    return starts


def said_behind(codec: Codec, before: Sequence[int], tokens: Sequence[int]) -> str | None:
    """What tokens say behind others; None: they go on inside of a character."""
    head, whole = codec.decode(before), codec.decode((*before, *tokens))
    return whole[len(head) :] if whole.startswith(head) else None


def transferred(
    text: str,
    tokens: tuple[Codec, Sequence[int]],
    values: Sequence[ValueT],
    others: tuple[Codec, Sequence[int]],
    join: Callable[[Sequence[ValueT]], ValueT],
) -> tuple[ValueT, ...]:
    """What belongs to the tokens of another tokenizer, of what belongs to the tokens that have the same characters.

    Args:
        text: of both.
        tokens: with their tokenizer.
        values: what belongs to each of them.
        others: the other ones.
        join: of several values the one that an other token gets.
    """
    if not values:
        return ()
    spans, at = _spans(text, *tokens), 0
    found: list[ValueT] = []
    for begin, end in _spans(text, *others):
        while at + 1 < len(spans) and spans[at][1] <= begin:
            at += 1
        last = at + 1
        while last < len(spans) and spans[last][0] < end:
            last += 1
        found.append(join(values[at:last]))
    return tuple(found)


def _spans(text: str, codec: Codec, ids: Sequence[int]) -> list[tuple[int, int]]:
    """Where each token begins and ends; one that is a part of a character has all of that."""
    starts = char_starts(codec, text, ids)
    begins: list[int] = []
    for start in starts:
        begins.append(begins[-1] if start is None else start)
    ends = [len(text)] * len(ids)
    for at in range(len(ids) - 1, -1, -1):
        start = starts[at + 1]
        ends[at] = start if start is not None else ends[at + 1] if at + 1 < len(ids) else len(text)
    return list(zip(begins, ends, strict=False))
