"""What every editor that works on texts shares: a text in, round after round, a draft out with what was changed."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from ptgflow.contracts import Draft, Text
from ptgflow.engine.edit.changes import carried
from ptgflow.engine.edit.request import EditRequest
from ptgflow.engine.edit.rules import Editor
from ptgflow.stages.base import AbstractMethod, StageContext, Work
from ptgflow.stages.edit.options import EditOptions

OptionsT = TypeVar("OptionsT", bound=EditOptions)


class Editing(AbstractMethod[Text, Draft], ABC, Generic[OptionsT]):
    """The editor is made once: it may hold weights."""

    def __init__(self, options: OptionsT) -> None:
        self._options = options
        self._editor: Editor | None = None

    @abstractmethod
    def editor(self, context: StageContext) -> Editor:
        """Make the editor.

        Raises:
            RunError: what it is made of cannot be used.
        """

    def run(self, value: Text, context: StageContext) -> Work[Draft]:
        """Yield one text."""
        if self._editor is None:
            self._editor = self.editor(context)
        scores = value.scores if value.scores is not None else (0.0,) * len(value.token_ids)
        decoded = yield EditRequest(
            text=value.text,
            token_ids=value.token_ids,
            scores=scores,
            editor=self._editor,
            rounds=self._options.rounds,
            prompt_ids=value.prompt.token_ids if value.prompt is not None else (),
        )
        return Draft(
            token_ids=decoded.token_ids,
            tokenizer=value.tokenizer,
            text=decoded.text,
            origin=carried(value.token_ids, decoded.token_ids, value.origin, context.slot),
            prompt=value.prompt,
            finish_reason=value.finish_reason,
            scores=decoded.scores,
        )
