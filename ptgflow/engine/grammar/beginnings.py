"""How much of a text stays when the rest is written anew: whole tokens, and less of them from one attempt to the next.

IterGen (arXiv 2410.07295) goes back by symbols of the grammar; here these are words and marks, which every text has.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ptgflow.engine.grammar.token_mask import tokenizer_of
from ptgflow.engine.models.model import LoadedModel

_SYMBOLS: Final = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What stays."""

    length: int
    """In characters."""
    token_ids: tuple[int, ...]


def beginnings(text: str, valid: int, model: LoadedModel, *, backtracks: int) -> list[Beginning]:
    """Where the model may go on, the longest beginning first.

    The first one ends with the last token that is all valid, as the model would have cut the text into tokens: it may
    then write a token that the cut would have parted. The next ones are 1, 3, 7, ... symbols shorter, the last one is
    empty.

    Args:
        text: what was there.
        valid: so many of its characters may stand there.
        model: who goes on.
        backtracks: how often to go back.
    """
    ids = model.codec.encode(text)
    ends = dict(_ends(ids, text, model))
    symbols = [match.start() for match in _SYMBOLS.finditer(text, 0, valid)]
    back = [symbols[1 - 2**times] for times in range(1, backtracks) if 2**times - 1 <= len(symbols)]
    found: list[Beginning] = []
    for most in (valid, *back, *([0] if backtracks else [])):
        length, count = max((length, count) for length, count in ends.items() if length <= most)
        if not found or length < found[-1].length:
            found.append(Beginning(length=length, token_ids=ids[:count]))
    return found


def _ends(ids: tuple[int, ...], text: str, model: LoadedModel) -> Iterator[tuple[int, int]]:
    """After how many characters of a text, and how many tokens, a token ends; not where it ends inside of one."""
    tokenizer, data = tokenizer_of(model), text.encode()
    read, length = 0, 0
    yield 0, 0
    for count, token in enumerate(ids, 1):
        piece = tokenizer.decode_bytes([token])
        if data[read : read + len(piece)] != piece:
            return  # A tokenizer that changes what it reads: from here on nobody knows what is where.
        length += sum(byte & 0xC0 != 0x80 for byte in piece)
        read += len(piece)
        if read == len(data) or data[read] & 0xC0 != 0x80:
            yield length, count
