"""What a row's penalties and biases do to which tokens, kept up to date as its text grows."""

from collections.abc import Sequence
from typing import Final, final

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from ptgflow.contracts.settings import Sampling

_ROOM: Final = 64
"""Tokens for which there is room at first, beside those that are changed from the start."""


def unknown_tokens(sampling: Sampling, vocab: int) -> tuple[int, ...]:
    """The token ids in `logit_bias` that a vocabulary of `vocab` tokens does not have; ascending."""
    return tuple(token for token, _ in sampling.logit_bias if token >= vocab)


@final
class History:
    """One row's memory of the tokens whose logits are changed, and how. Without penalties and biases it holds nothing.

    How a logit is changed is three terms: what divides it if it is positive and multiplies it if it is negative, what
    is then subtracted, and what is then added. They are kept as tensors that a pass over many rows puts together.
    """

    def __init__(self, sampling: Sampling, prompt_ids: Sequence[int], vocab: int, device: torch.device) -> None:
        """Begin with the prompt.

        Args:
            sampling: its biases are of tokens that the vocabulary has; see `unknown_tokens`.
            prompt_ids: the prompt.
            vocab: columns of the logits.
            device: where the logits are.
        """
        assert not unknown_tokens(sampling, vocab), "a bias is on a token of the vocabulary"
        self._repetition = sampling.repetition_penalty
        self._presence = sampling.presence_penalty
        self._bias = {token: bias for token, bias in sampling.logit_bias if bias != 0.0}
        self._remembers = self._repetition != 1.0 or self._presence != 0.0
        self._written: set[int] = set()
        read = dict.fromkeys(prompt_ids) if self._repetition != 1.0 else {}
        changed = {token: (self._repetition, 0.0, self._bias.get(token, 0.0)) for token in read}
        changed |= {token: (1.0, 0.0, bias) for token, bias in self._bias.items() if token not in read}
        assert all(token < vocab for token in changed), "a prompt has tokens of the vocabulary"
        self._slots = {token: slot for slot, token in enumerate(changed)}
        room = len(changed) + _ROOM if self._remembers else len(changed)
        self._ids = torch.empty(room, dtype=torch.long, device=device)
        self._terms = torch.empty(3, room, dtype=torch.float64, device=device)
        self._write(changed)

    @property
    def changes(self) -> bool:
        """Whether any logit of this row is ever changed."""
        return self._remembers or bool(self._bias)

    @property
    def remembers(self) -> bool:
        """Whether a logit is changed because its token was written."""
        return self._remembers

    @property
    def ids(self) -> Int[Tensor, " changed"]:
        """The tokens whose logits are changed after the text, each once."""
        return self._ids[: len(self._slots)]

    @property
    def terms(self) -> Float64[Tensor, "3 changed"]:
        """For each of `ids`, in columns: the repetition penalty, the presence penalty and the bias."""
        return self._terms[:, : len(self._slots)]

    def once_written(self, token: int) -> tuple[float, float, float]:
        """The terms of a token that is in the answer."""
        return self._repetition, self._presence, self._bias.get(token, 0.0)

    def extend(self, tokens: Sequence[int]) -> None:
        """Take in tokens that were written to the answer."""
        if not self._remembers:
            return
        new = {token: self.once_written(token) for token in tokens if token not in self._written}
        self._written.update(new)
        for token in new:
            self._slots.setdefault(token, len(self._slots))
        if len(self._slots) > len(self._ids):
            room = 2 * len(self._slots)
            self._ids = torch.cat((self._ids, self._ids.new_empty(room - len(self._ids))))
            self._terms = torch.cat((self._terms, self._terms.new_empty(3, room - self._terms.shape[1])), dim=1)
        self._write(new)

    def _write(self, changed: dict[int, tuple[float, float, float]]) -> None:
        if not changed:
            return
        device = self._ids.device
        slots = torch.tensor([self._slots[token] for token in changed], device=device)
        self._ids[slots] = torch.tensor(list(changed), device=device)
        self._terms[:, slots] = torch.tensor(list(changed.values()), dtype=torch.float64, device=device).T
