"""Where a tokenized text may be cut: at paragraphs, in long ones at sentences, never within a token or character."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final

from ptgflow.engine.sentences import split_paragraphs, split_sentences

Decode = Callable[[Sequence[int]], str]

_ANCHOR_EVERY: Final = 48
"""Tokens after which decoding starts afresh, so that a long text costs linear time."""


def token_offsets(ids: Sequence[int], text: str, decode: Decode) -> tuple[int | None, ...]:
    """Where each token boundary lies in the text.

    Args:
        ids: Token ids that decode to `text`.
        text: The whole text.
        decode: From ids to text.

    Returns:
        `len(ids) + 1` character offsets; None where the boundary falls within a character or its place is unclear.
    """
    found: list[int | None] = [0]
    anchor, base = 0, 0
    for end in range(1, len(ids) + 1):
        own = decode(ids[anchor:end])
        # Some tokenizers drop the space before the first word of what they decode.
        skipped = next(
            (skip for skip in (0, 1) if text.startswith(own, base + skip) and _blank(text, base, skip)), None
        )
        # A character whose bytes are not complete decodes to the replacement character.
        clean = skipped is not None and not own.endswith("\ufffd")
        found.append(base + skipped + len(own) if clean and skipped is not None else None)
        if clean and end - anchor >= _ANCHOR_EVERY:
            anchor, base = end, found[-1] or 0
    found[-1] = len(text)
    return tuple(found)


def passage_bounds(text: str, offsets: Sequence[int | None], limit: int) -> tuple[int, ...]:
    """The token boundaries at which passages start and end, the first 0 and the last the number of tokens.

    Every paragraph is a passage of its own; one of more than `limit` tokens is cut after as many sentences as fit,
    a sentence that is too long at white space, and a word that is too long wherever no character is broken.

    Args:
        text: The whole text.
        offsets: What `token_offsets` gave.
        limit: Most tokens of a passage, at least 1. Only a single character of more tokens exceeds it.
    """
    count = len(offsets) - 1
    paragraphs = _boundaries_in(_gaps(text, split_paragraphs(text)), offsets)
    sentences = sorted({*paragraphs, *_boundaries_in(_gaps(text, split_sentences(text)), offsets)})
    clean = [index for index, offset in enumerate(offsets) if offset is not None and 0 < index < count]
    spaces = [index for index in clean if _beside_space(text, offsets[index])]
    bounds = [0]
    for end in (*paragraphs, count):
        while end - bounds[-1] > limit:
            start, reach = bounds[-1], bounds[-1] + limit
            fitting = (_last_between(choice, start, reach) for choice in (sentences, spaces, clean))
            cut = next((index for index in fitting if index is not None), None)
            if cut is None:
                cut = next((index for index in clean if reach < index < end), end)
            if cut == end:
                break
            bounds.append(cut)
        if end > bounds[-1]:
            bounds.append(end)
    return tuple(bounds)


def _blank(text: str, start: int, count: int) -> bool:
    return not text[start : start + count].strip()


def _beside_space(text: str, offset: int | None) -> bool:
    return offset is not None and 0 < offset < len(text) and (text[offset].isspace() or text[offset - 1].isspace())


def _gaps(text: str, pieces: Sequence[str]) -> list[tuple[int, int]]:
    """The white space between the pieces, as ranges of offsets; a cut may fall anywhere within one."""
    gaps: list[tuple[int, int]] = []
    end = 0
    for piece in pieces[:-1]:
        start, end = end + len(piece.rstrip()), end + len(piece)
        gaps.append((start, end))
    return gaps


def _boundaries_in(gaps: Sequence[tuple[int, int]], offsets: Sequence[int | None]) -> list[int]:
    """The last token boundary within each gap; none for a gap that lies inside a token."""
    known = [(offset, index) for index, offset in enumerate(offsets) if offset is not None]
    places = [offset for offset, _ in known]
    chosen: list[int] = []
    for start, end in gaps:
        at = bisect_right(places, end) - 1
        if at > 0 and places[at] >= start and 0 < known[at][1] < len(offsets) - 1:
            chosen.append(known[at][1])
    return sorted(set(chosen))


def _last_between(indices: Sequence[int], low: int, high: int) -> int | None:
    """The largest of the ascending `indices` in (low, high]."""
    at = bisect_right(indices, high) - 1
    return indices[at] if at >= 0 and indices[at] > low else None
