"""The loop over canvases: predict every hole of a block, write some, perhaps open some again; rows diverge freely."""

from collections.abc import Sequence
from dataclasses import replace
from typing import final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.canvas_row import CanvasRow
from ptgflow.engine.canvas.guidance import ClassifierFree, Guide, Judging, Question
from ptgflow.engine.canvas.guidance.answering import answered
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.rules import CanvasAsk, Denoiser
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.rounds import RowId
from ptgflow.engine.source_loop import SourceLoop

Lines = Float[Tensor, "lines vocab"]


@final
class CanvasLoop(SourceLoop[CanvasRequest, CanvasAsk, Lines, CanvasRow]):
    """Fills canvases with one denoiser."""

    def __init__(self, model: LoadedModel, denoiser: Denoiser, *, max_rows: int) -> None:
        super().__init__(model, denoiser, max_rows=max_rows)
        self._without: dict[RowId, int] = {}
        """Numbers with the denoiser of the same canvases without their prompts, where guidance wants them."""

    def admit(self, request: CanvasRequest) -> RowId:
        """Take in a canvas; it is worked on from the next round that has room.

        Raises:
            RunError: EMPTY_PROMPT, PROMPT_TOO_LONG, CANVAS_TOO_LONG or UNKNOWN_TOKEN.
        """
        row = super().admit(request)
        self._warnings += request.warnings
        return row

    def _opened(self, request: CanvasRequest) -> CanvasRow:
        return CanvasRow(request, self._model.codec, self._model.vocab_size, self._model.device)

    def _enter(self, row: RowId) -> None:
        super()._enter(row)
        request = self._requests[row]
        if isinstance(request.guidance, ClassifierFree):
            self._without[row] = self._source.admit(request.guidance.prompt, request.size)

    def _release(self, row: RowId) -> None:
        super()._release(row)
        if row in self._without:
            self._source.free(self._without.pop(row))

    def _leave(self, row: RowId) -> None:
        guidance = self._requests[row].guidance
        super()._leave(row)
        if isinstance(guidance, Judging):
            guidance.guide.forget(row)

    def _predicted(self, rows: Sequence[RowId]) -> list[Lines]:
        """One pass over all rows; of each what the model says, steered where guidance steers."""
        asks: list[CanvasAsk] = []
        for one in rows:
            ask = self._rows[one].ask(self._numbers[one])
            asks += [ask, replace(ask, row=self._without[one])] if one in self._without else [ask]
        lines = iter(self._source.predict(asks))
        found: list[Tensor] = []
        for one in rows:
            guidance, logits = self._requests[one].guidance, next(lines)
            found.append(guidance.steer(logits, next(lines)) if isinstance(guidance, ClassifierFree) else logits)
        return found

    def _settle(
        self, rows: Sequence[RowId], predicted: Sequence[Lines], failed: dict[RowId, Exception]
    ) -> dict[RowId, str]:
        for one, found in zip(rows, predicted, strict=True):
            self._rows[one].propose(self._passes, found)
        answers = self._answers(rows, failed)
        return {one: self._rows[one].settle(answers.get(one)) for one in rows if one not in failed}

    def _answers(self, rows: Sequence[RowId], failed: dict[RowId, Exception]) -> dict[RowId, Tensor]:
        """What the guides say of what rows propose, where one is asked; rows that it has no memory for fail."""
        by_guide: dict[int, tuple[Guide, list[Question]]] = {}
        for one in rows:
            guidance, question = self._requests[one].guidance, self._rows[one].question(one)
            if isinstance(guidance, Judging) and question is not None:
                by_guide.setdefault(id(guidance.guide), (guidance.guide, []))[1].append(question)
        found: dict[RowId, Tensor] = {}
        for guide, questions in by_guide.values():
            answers, errors = answered(guide, questions)
            found |= {RowId(row): logits for row, logits in answers.items()}
            failed |= {RowId(row): self._too_large(RowId(row), error) for row, error in errors.items()}
        return found
