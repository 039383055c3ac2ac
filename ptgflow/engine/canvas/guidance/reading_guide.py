"""An autoregressive model as guide: it keeps what it has read of a text, and reads proposals behind it as scratch."""

from typing import final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.guidance.guide import Question
from ptgflow.engine.draft_models.readings import Readings
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree


@final
class ReadingGuide:
    """A `Guide` with slots of its own. Its weights may be those that a masked model was adapted from."""

    def __init__(self, model: LoadedModel, *, vocab: int, budget: int | None = None) -> None:
        """Open a pass.

        Args:
            model: causal, with the tokenizer of the target.
            vocab: tokens of the target. Those that the model lacks it gives no chance.
            budget: most bytes of keys and values; None: no bound.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model whose keys and values cannot be kept by position.
        """
        self._run = model.open_pass(budget=budget)
        self._rows = Readings(self._run)
        self._vocab = vocab

    def answer(self, questions: list[Question]) -> list[Float[Tensor, "wanted vocab"]]:
        """One pass over what is new of each text and what is proposed behind it.

        Raises:
            SlotsFullError: there is no memory for the new text.
        """
        rests = {one.row: self._rows.catch_up(one.row, one.text[: one.wanted[0]]) for one in questions}
        inputs = [
            RowInput(
                row=self._rows[one.row].slot,
                tokens=rests[one.row],
                tree=TokenTree.chain(one.text[one.wanted[0] :]),
            )
            for one in questions
        ]
        logits = self._over_target(self._run(inputs))
        self._rows.keep(rests)
        found: list[Tensor] = []
        at = 0
        for one, read in zip(questions, inputs, strict=True):
            # The last token of the text predicts the first wanted place, and each proposal the one behind it.
            found.append(logits[[at + place - one.wanted[0] for place in one.wanted]])
            at += 1 + len(read.tree)
        return found

    def forget(self, row: int) -> None:
        """Give a row's slots back."""
        self._rows.forget(row)

    def _over_target(self, logits: Float[Tensor, "lines own"]) -> Float[Tensor, "lines vocab"]:
        logits = logits[:, : self._vocab].float()
        missing = self._vocab - logits.shape[1]
        if missing <= 0:
            return logits
        return logits.new_full((len(logits), self._vocab), float("-inf")).slice_scatter(logits, 1, 0, logits.shape[1])
