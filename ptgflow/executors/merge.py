"""Merge: the segments of a split become one text again."""

from collections.abc import Sequence
from typing import Any

from ptgflow.contracts import NO_GUARANTEE, Branches, Draft, Guarantee, Level, Prompt, Segment, Text, Verified
from ptgflow.contracts.kinds import FinishReason, Verdict
from ptgflow.engine.models.codec import Codec


def merged(
    branches: Branches[Segment], texts: Sequence[Text], *, prompt: Prompt | None, slot: str, codec: Codec
) -> Text:
    """One text of the weakest kind among the segments, in words exactly `branches.join`.

    What joins the segments (headings, white space) was given by the split, not drawn: its tokens are of `slot`, their
    log-probability is 0 and their verdict `given`. The whole answers `prompt`, the one that was split.
    """
    kind = min((type(text) for text in texts), key=lambda one: len(one.__mro__), default=Text)
    pieces: list[Text] = []
    for lead, text in zip(branches.leads, texts, strict=True):
        pieces += [_frame(lead, kind, slot, codec), text]
    pieces.append(_frame(branches.tail, kind, slot, codec))
    whole = branches.join([text.text for text in texts])
    fields: dict[str, Any] = {
        "token_ids": tuple(token for piece in pieces for token in piece.token_ids),
        "tokenizer": codec.fingerprint,
        "text": whole,
        "origin": tuple(name for piece in pieces for name in piece.origin),
        "prompt": prompt,
        "finish_reason": _finish_reason(texts),
    }
    scores = [piece.scores for piece in pieces if piece.scores is not None]
    if len(scores) == len(pieces):
        fields["scores"] = tuple(score for own in scores for score in own)
    if issubclass(kind, Draft):
        traced = [piece for piece in pieces if isinstance(piece, Draft)]
        if any(piece.tops for piece in traced):
            # What joins the segments was not chosen among others.
            fields["tops"] = tuple(top for piece in traced for top in piece.tops or ((),) * len(piece.token_ids))
    if issubclass(kind, Verified):
        judged = [piece for piece in pieces if isinstance(piece, Verified)]
        fields["verdicts"] = tuple(verdict for piece in judged for verdict in piece.verdicts)
        fields["rejected"] = tuple(token for piece in judged for token in piece.rejected)
        fields["guarantee"] = _common_guarantee([text for text in texts if isinstance(text, Verified)])
    return kind(**fields)


def _frame(words: str, kind: type[Text], slot: str, codec: Codec) -> Text:
    """A piece that joins segments, as a text of the kind of the segments."""
    ids = codec.encode(words) if words else ()
    fields: dict[str, Any] = {
        "token_ids": ids,
        "tokenizer": codec.fingerprint,
        "text": words,
        "origin": (slot,) * len(ids),
        "scores": (0.0,) * len(ids),
    }
    if issubclass(kind, Verified):
        given: Verdict = "given"
        fields["verdicts"] = (given,) * len(ids)
    return kind(**fields)


def _finish_reason(texts: Sequence[Text]) -> FinishReason:
    """A whole is cut off when one of its segments is; the last passage of a split text says how that text ended."""
    reasons: list[FinishReason] = [text.finish_reason for text in texts]
    if "length" in reasons:
        return "length"
    return reasons[-1] if reasons else "stop"


def _common_guarantee(texts: Sequence[Verified]) -> Guarantee:
    levels: set[Level] = {text.guarantee.level for text in texts}
    if len(levels) != 1:
        return NO_GUARANTEE
    return Guarantee(level=levels.pop(), target=texts[0].guarantee.target, scope="segment")
