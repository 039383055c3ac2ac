"""Which tokens of a model's vocabulary keep a text within a grammar (Willard and Louf, arXiv 2307.09702)."""

from collections.abc import Sequence
from typing import Final, final
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ptgflow.engine.grammar.grammar import Grammar
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.prefixes import shared_length

_KNOWN: Final[WeakKeyDictionary[Codec, LLTokenizer]] = WeakKeyDictionary()
"""Reading a tokenizer takes as long as many texts."""


@final
class TokenMask:
    """A `Constraint`: the grammar, behind a beginning that stays.

    Special tokens are never text. Where no token of the vocabulary goes on, an end token may come, as at the end of a
    text of the grammar: whoever reads the row has to look which it was.
    """

    def __init__(self, matcher: LLMatcher, model: LoadedModel) -> None:
        """Go on from where the matcher is."""
        self._matcher = matcher
        self._written: list[int] = []
        self._vocab = model.vocab_size
        self._ends = torch.zeros(model.vocab_size, dtype=torch.bool)
        self._ends[[one for one in model.codec.eos_ids if one < model.vocab_size]] = True

    def allowed(self, written: Sequence[int]) -> Bool[Tensor, " vocab"]:
        """Which tokens may follow."""
        same = shared_length(self._written, written)
        self._matcher.rollback(len(self._written) - same)
        taken = self._matcher.try_consume_tokens(list(written[same:]))
        self._written = list(written[: same + taken])
        if taken < len(written) - same or self._matcher.is_error():
            return self._ends
        packed = torch.frombuffer(bytearray(self._matcher.compute_bitmask()), dtype=torch.uint8)
        bits = (packed[:, None] >> torch.arange(8)) & 1
        found = bits.flatten()[: self._vocab].bool()
        return found if bool(found.any()) else self._ends


def begun(grammar: Grammar, model: LoadedModel, kept: Sequence[int]) -> tuple[LLMatcher, int]:
    """A matcher that has read a beginning, and how many of its tokens it has read.

    White space that is written anew is short, unless the beginning has it longer.
    """
    best: tuple[LLMatcher, int] | None = None
    for matcher in grammar.matchers(tokenizer_of(model)):
        taken = matcher.try_consume_tokens(list(kept))
        if best is None or taken > best[1]:
            best = matcher, taken
        if taken == len(kept):
            break
    assert best is not None, "a grammar has a matcher"
    return best


def tokenizer_of(model: LoadedModel) -> LLTokenizer:
    """The model's own tokenizer, as the library reads it; with as many ids as the logits have columns."""
    codec = model.codec
    if codec not in _KNOWN:
        assert isinstance(codec.tokenizer, PreTrainedTokenizerFast), "a codec has a fast tokenizer"
        rows = max(model.vocab_size, len(codec.tokenizer))
        _KNOWN[codec] = from_tokenizer(codec.tokenizer, n_vocab=rows, eos_token=sorted(codec.eos_ids))
    return _KNOWN[codec]
