"""An editor whose model has another tokenizer than the path reads words, and words are what it leaves."""

from typing import Any

from ptgflow.contracts import Draft, Text
from ptgflow.engine.edit.places import transferred
from ptgflow.engine.models.codec import Codec


def encoded(value: Text, before: Codec, after: Codec, *, chat: bool) -> Text:
    """A text, and the prompt that it answers, in the tokens of another tokenizer.

    What belongs to tokens goes over by their characters: the first writer, and the lowest score.

    Args:
        value: in tokens of `before`.
        before: the tokenizer that it has.
        after: the one that it gets.
        chat: whether prompts go through the chat template.
    """
    ids = after.encode(value.text)
    old, new = (before, value.token_ids), (after, ids)
    prompt = value.prompt
    if prompt is not None:
        prompt = after.prompt(prompt.messages, text=prompt.text, prefix=prompt.prefix, chat=chat)
    fields: dict[str, Any] = {
        "token_ids": ids,
        "tokenizer": after.fingerprint,
        "text": value.text,
        "origin": transferred(value.text, old, value.origin, new, lambda several: several[0]),
        "prompt": prompt,
        "finish_reason": value.finish_reason,
        "scores": None if value.scores is None else transferred(value.text, old, value.scores, new, min),
    }
    return Draft(**fields) if isinstance(value, Draft) else Text(**fields)
