"""The seam between the loop and the decoders of one-shot generation."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.oneshot.written import Written


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """What one pass says of a window behind a prompt."""

    logits: Float[Tensor, "places vocab"]
    """Of the token in each place, after penalties and biases. Those of the first are the model's own."""
    states: Float[Tensor, "places hidden"]
    """What predicts each place: the state of the last token of the prompt, and those of all masks."""
    tokens: tuple[int, ...]
    """The likeliest token of each place; at temperature > 0 a draw, of each place by itself."""
    told: int | None
    """Tokens that the text is to have, where the window was told."""

    def scores_of(self, tokens: Sequence[int], places: Sequence[int] | None = None) -> tuple[float, ...]:
        """The log-probability of tokens at some places, by each place itself; None: at the first ones."""
        at = list(range(len(tokens)) if places is None else places)
        law = self.logits[at].log_softmax(dim=-1)
        return tuple(law.gather(1, torch.tensor(tokens, dtype=torch.long, device=law.device)[:, None])[:, 0].tolist())


class Reader(ABC):
    """A decoder."""

    draws: ClassVar[bool] = False
    """Whether it can draw its text, or always takes the best."""

    @abstractmethod
    def read(self, window: Window) -> list[Written]:
        """Texts, best first; at least one. One that is complete ends in an end token."""
