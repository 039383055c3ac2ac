"""How likely the target finds a text: one scoring pass over it, given its prompt."""

from collections.abc import Sequence
from typing import Final, NamedTuple, final

import torch

from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree

_STRETCH: Final = 96
"""Tokens that are scored in a pass."""
_READ: Final = 256
"""Tokens that are read in a pass."""


class Surprise(NamedTuple):
    """Of a text: `exp(nats / tokens)` is its perplexity."""

    nats: float
    """The sum of the negative log-probabilities of its tokens."""
    tokens: int


@final
class Scorer:
    """Scores texts under a model, one at a time."""

    def __init__(self, model: LoadedModel) -> None:
        self._pass = model.open_pass()
        self._context = model.context_length
        self._start = model.codec.start_id

    @torch.no_grad()
    def __call__(self, prompt_ids: Sequence[int], token_ids: Sequence[int]) -> Surprise:
        """Score a text.

        Args:
            prompt_ids: what stands before it; none: the token that every text begins with.
            token_ids: the text. What the context has no room for is scored given the prompt and the end of what
                stands before it, half of the room that there is.
        """
        prompt = tuple(prompt_ids) or (self._start,)
        ids, slot, nats, at = tuple(token_ids), self._pass.cache.admit(), 0.0, 0
        try:
            self._read(slot, prompt[:-1])
            while at < len(ids):
                shown = ids[at : at + _STRETCH]
                if at and self._pass.cache.length(slot) + 1 + len(shown) > self._context:
                    kept = max((self._context - len(prompt) - 1 - len(shown)) // 2, 1)
                    self._pass.cache.rollback(slot, len(prompt) - 1)
                    self._read(slot, (prompt[-1], *ids[max(at - kept, 0) : at - 1]))
                before = ids[at - 1] if at else prompt[-1]
                logits = self._pass([RowInput(row=slot, tokens=(before,), tree=TokenTree.chain(shown))])
                laws = logits[: len(shown)].float().log_softmax(dim=-1)
                nats -= float(laws.gather(1, torch.tensor(shown, device=laws.device)[:, None]).sum())
                self._pass.cache.commit({slot: range(len(shown))})
                at += len(shown)
        finally:
            self._pass.cache.free(slot)
        return Surprise(nats, len(ids))

    def _read(self, slot: int, tokens: Sequence[int]) -> None:
        """Take in what is not scored."""
        for begin in range(0, len(tokens), _READ):
            some = tuple(tokens[begin : begin + _READ])
            self._pass([RowInput(row=slot, tokens=some, wanted=False)])
            self._pass.cache.commit({slot: range(len(some))})
