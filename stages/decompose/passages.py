"""Split a text that is already there into passages, token by token the same text."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import final

from ptgflow.contracts import Branches, Draft, Prompt, Segment, Text, Verified
from ptgflow.stages.base import AbstractDecompose, StageContext, Work
from ptgflow.stages.decompose.cuts import Decode, passage_bounds, token_offsets
from ptgflow.stages.decompose.spec import PassagesOptions


@final
class Passages(AbstractDecompose):
    """Cuts at paragraphs and sentences. Costs no model pass; joining unchanged passages gives the text back exactly.

    What is known of each token (origin, score, verdict) goes with it. A passage's prompt is the text's own prompt with
    everything before the passage as its open prefix, so that a stage that judges or repairs it sees what stands left of
    it.
    """

    def __init__(self, options: PassagesOptions) -> None:
        """Take the length of a passage."""
        self._options = options

    def run(self, value: Segment, context: StageContext) -> Work[Branches[Segment]]:
        """Yield nothing and return the passages."""
        assert isinstance(value, Text), "passages are cut from a text"
        yield from ()
        return split_text(value, context.model.codec.decode, self._options.passage_tokens)


def split_text(text: Text, decode: Decode, limit: int) -> Branches[Segment]:
    """The passages of a text, of at most `limit` tokens each.

    A cut after which the tokens of a passage would no longer decode to its text is left out.
    """
    offsets = token_offsets(text.token_ids, text.text, decode)
    bounds = _faithful(text, passage_bounds(text.text, offsets, limit), offsets, decode)
    if len(bounds) <= 2:
        return Branches(items=(text,), leads=("",), how="plain: the text is a single passage")
    items: list[Segment] = []
    leads: list[str] = []
    for start, end in pairwise(bounds):
        own = decode(text.token_ids[start:end])
        piece = text.text[_known(offsets, start) : _known(offsets, end)]
        leads.append(piece.removesuffix(own))
        items.append(_slice(text, start, end, own, text.text[: _known(offsets, start)]))
    titles = tuple(f"passage {number}" for number in range(1, len(items) + 1))
    return Branches(items=tuple(items), leads=tuple(leads), titles=titles, how=f"{len(items)} passages")


def _known(offsets: Sequence[int | None], index: int) -> int:
    offset = offsets[index]
    assert offset is not None, "a passage is cut where the place in the text is known"
    return offset


def _faithful(text: Text, bounds: Sequence[int], offsets: Sequence[int | None], decode: Decode) -> tuple[int, ...]:
    """The bounds whose passages decode to what the text has there, but for white space before them."""
    kept = [bounds[0]]
    for end in bounds[1:]:
        piece = text.text[_known(offsets, kept[-1]) : _known(offsets, end)]
        own = decode(text.token_ids[kept[-1] : end])
        if piece.endswith(own) and not piece.removesuffix(own).strip():
            kept.append(end)
    if kept[-1] != bounds[-1]:
        return (bounds[0], bounds[-1])
    return tuple(kept)


def _slice(text: Text, start: int, end: int, own: str, before: str) -> Text:
    """One passage. The rejected proposals of a verified text stay with its first passage: they have no place in it."""
    piece: Text
    part = slice(start, end)
    if isinstance(text, Verified):
        piece = replace(
            text,
            token_ids=text.token_ids[part],
            text=own,
            origin=text.origin[part],
            scores=text.scores[part],
            verdicts=text.verdicts[part],
            rejected=text.rejected if start == 0 else (),
        )
    elif isinstance(text, Draft):
        ids, scores = text.token_ids[part], text.scores[part]
        piece = replace(text, token_ids=ids, text=own, origin=text.origin[part], scores=scores)
    else:
        known = None if text.scores is None else text.scores[part]
        piece = replace(text, token_ids=text.token_ids[part], text=own, origin=text.origin[part], scores=known)
    last = end == len(text.token_ids)
    prompt = None if text.prompt is None else _left_context(text.prompt, text.token_ids[:start], before)
    return replace(piece, prompt=prompt, finish_reason=text.finish_reason if last else "split")


def _left_context(prompt: Prompt, ids: tuple[int, ...], before: str) -> Prompt:
    return replace(prompt, token_ids=prompt.token_ids + ids, prefix=prompt.prefix + before)
