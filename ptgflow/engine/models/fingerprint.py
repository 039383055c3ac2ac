"""A tokenizer's fingerprint: equal when two tokenizers give the same ids for the same text, different otherwise."""

import hashlib
import json
from typing import Any, Final

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

_PARTS: Final = ("normalizer", "pre_tokenizer", "model", "decoder", "added_tokens")
_DIGITS: Final = 16


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """The first 16 hexadecimal digits of a SHA-256 over everything that decides between text and ids.

    Truncation, padding and the post-processor (which adds special tokens to a raw prompt) are left out: they belong to
    how a prompt is made. Entries that are off (null, false, empty) are left out too, so that a new version of the
    library which writes a new default does not change the fingerprint of an old tokenizer.
    """
    assert isinstance(tokenizer, PreTrainedTokenizerFast), "a codec is made from a fast tokenizer"
    everything = json.loads(tokenizer.backend_tokenizer.to_str())
    parts = {name: _plain(everything.get(name)) for name in _PARTS}
    serialised = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(serialised.encode("ascii")).hexdigest()[:_DIGITS]


def _plain(value: Any) -> Any:
    """The same data with entries that are off removed, and merges written as pairs."""
    if isinstance(value, dict):
        kept = {key: _plain(item) for key, item in value.items() if item not in (None, False, "")}
        if "merges" in kept:
            kept["merges"] = [merge.split(" ") if isinstance(merge, str) else merge for merge in kept["merges"]]
        return kept
    return [_plain(item) for item in value] if isinstance(value, list) else value
