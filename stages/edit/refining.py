"""What every editor shares that lets the model write: a text in, rounds that ask a decoding loop, a draft out."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from ptgflow.contracts import Draft, StageOptions, Text
from ptgflow.engine.edit.changes import carried
from ptgflow.engine.edit.edit_row import EditRow
from ptgflow.engine.edit.request import Refinement
from ptgflow.engine.edit.rules import EditAsk, Revision
from ptgflow.stages.base import AbstractMethod, StageContext, Work

OptionsT = TypeVar("OptionsT", bound=StageOptions)


class Refining(AbstractMethod[Text, Draft], ABC, Generic[OptionsT]):
    """A text ends as it does in the loop over texts: at a fixed point, at one seen before, and at the limit."""

    def __init__(self, options: OptionsT) -> None:
        self._options = options

    @property
    @abstractmethod
    def rounds(self) -> int:
        """Most rounds of a text."""

    @abstractmethod
    def revise(self, ask: EditAsk, value: Text, context: StageContext) -> Work[Revision]:
        """Yield what is asked of the model; what one round makes of the text."""

    def run(self, value: Text, context: StageContext) -> Work[Draft]:
        """Yield what each round asks."""
        codec = context.model.codec
        scores = value.scores if value.scores is not None else (0.0,) * len(value.token_ids)
        row = EditRow(
            Refinement(
                text=value.text,
                token_ids=value.token_ids,
                scores=scores,
                rounds=self.rounds,
                prompt_ids=value.prompt.token_ids if value.prompt is not None else (),
            ),
            codec,
        )
        number = 0
        while not row.finished:
            row.settle(number, (yield from self.revise(row.ask(0), value, context)))
            number += 1
        refined = row.decoded()
        context.report.edits.extend(refined.edits)
        return Draft(
            token_ids=refined.token_ids,
            tokenizer=value.tokenizer,
            text=refined.text,
            origin=carried(value.token_ids, refined.token_ids, value.origin, context.slot),
            prompt=value.prompt,
            # What was cut at the token limit has an end of its own once it is written anew.
            finish_reason="stop" if refined.edits and value.finish_reason == "length" else value.finish_reason,
            scores=refined.scores,
        )
