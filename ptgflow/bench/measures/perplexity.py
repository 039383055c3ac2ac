"""How likely the target finds a text: one scoring pass over it, given its prompt."""

from collections.abc import Sequence
from typing import NamedTuple, final

from ptgflow.engine.edit.locating.scorer import Scorer as Texts
from ptgflow.engine.edit.rules import EditAsk
from ptgflow.engine.models.model import LoadedModel


class Surprise(NamedTuple):
    """Of a text: `exp(nats / tokens)` is its perplexity."""

    nats: float
    """The sum of the negative log-probabilities of its tokens."""
    tokens: int


@final
class Scorer:
    """Scores texts under a model, one at a time. What one begins with as the last one did is not read again."""

    def __init__(self, model: LoadedModel) -> None:
        self._texts = Texts(model)

    def __call__(self, prompt_ids: Sequence[int], token_ids: Sequence[int]) -> Surprise:
        """Score a text.

        Args:
            prompt_ids: what stands before it; none: the token that every text begins with.
            token_ids: the text. What the context has no room for is scored given the prompt and the end of what
                stands before it, half of the room that there is.
        """
        ask = EditAsk(row=0, text="", token_ids=tuple(token_ids), prompt_ids=tuple(prompt_ids), round=0)
        reading = self._texts.opened(ask, 0)
        try:
            while reading.at < len(token_ids):
                self._texts.score([reading], 0)
        finally:
            self._texts.free(0)
        return Surprise(-sum(reading.row.scored), len(token_ids))
