"""A segment that its token limit cut in the middle of a sentence, cut back to its last complete one."""

from dataclasses import replace
from typing import Any

from ptgflow.contracts import Draft, Text, Verified
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.sentences import crop_to_sentence
from ptgflow.engine.text_stream import cut_tokens


def whole_sentences(text: Text, codec: Codec) -> Text:
    """The text up to its last complete sentence if a token limit ended it; as it is otherwise, or without a sentence.

    Where the cut falls inside a token, the part that stays takes over what is known of that token.
    """
    kept = crop_to_sentence(text.text) if text.finish_reason == "length" else text.text
    if kept == text.text:
        return text
    cut = cut_tokens(codec, text.token_ids, kept)
    places = [*range(cut.kept), *(min(cut.kept, len(text.token_ids) - 1) for _ in cut.tail)]
    changes: dict[str, Any] = {
        "token_ids": (*text.token_ids[: cut.kept], *cut.tail),
        "text": kept,
        "origin": tuple(text.origin[place] for place in places),
    }
    if text.scores is not None:
        changes["scores"] = tuple(text.scores[place] for place in places)
    if isinstance(text, Draft):
        changes["tops"] = tuple(text.tops[place] for place in places) if text.tops else ()
    if isinstance(text, Verified):
        changes["verdicts"] = tuple(text.verdicts[place] for place in places)
    return replace(text, **changes)
