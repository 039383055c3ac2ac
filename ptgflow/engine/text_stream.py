"""Where a text ends at a stop string, and how much of an unfinished text can be shown already."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ptgflow.engine.models.codec import Codec

REPLACEMENT: Final = "\ufffd"
"""What a decoder writes for bytes that are not, or not yet, a character."""


def stop_at(text: str, stops: Sequence[str]) -> int | None:
    """Where the text must be cut: the start of the stop string that is complete first; None when there is none.

    The one that ends first counts, and of those that end together the one that starts first. A reader of one character
    at a time would stop there too, so the cut does not depend on how many tokens a round settles.
    """
    found = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    return min(found)[1] if found else None


def settled_length(text: str, stops: Sequence[str]) -> int:
    """How many characters of an unfinished text can change no more.

    Held back are replacement characters at its end, which the next byte may turn into a letter, and a tail that the
    next characters may turn into a stop string.
    """
    stable = len(text.rstrip(REPLACEMENT))
    longest = max(map(len, stops), default=1) - 1
    for start in range(max(0, stable - longest), stable):
        if any(stop.startswith(text[start:stable]) for stop in stops):
            return start
    return stable


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The tokens of a text that was cut short."""

    kept: int
    """How many leading tokens stay as they are."""
    tail: tuple[int, ...]
    """New ids for the rest: the part of a token, or of a few, that stands before the cut."""


def cut_tokens(codec: Codec, ids: Sequence[int], text: str) -> Cut:
    """Tokens for `text`, a prefix of what `ids` decode to, that keep as many of `ids` as they can.

    Args:
        codec: the tokenizer that the ids belong to.
        ids: the tokens of the whole text.
        text: the part to keep; the result's tokens decode to it exactly.
    """
    kept = _tokens_before(codec, ids, len(text))
    while kept >= 0:
        head = codec.decode(ids[:kept])
        if text.startswith(head):
            tail = codec.encode(text[len(head) :]) if len(head) < len(text) else ()
            if codec.decode([*ids[:kept], *tail]) == text:
                return Cut(kept=kept, tail=tuple(tail))
        # The head ends inside a character, or the tokenizer writes the tail differently after it: take more anew.
        kept -= 1
    raise AssertionError(f"the tokenizer can write what it has read: {text!r}")


def _tokens_before(codec: Codec, ids: Sequence[int], length: int) -> int:
    """The largest number of leading tokens whose text is at most `length` characters long."""
    low, high = 0, len(ids)
    while low < high:
        middle = (low + high + 1) // 2
        if len(codec.decode(ids[:middle])) <= length:
            low = middle
        else:
            high = middle - 1
    return low
