"""One text on its way through an editor: what it was, what became of it, and when it is done."""

from typing import final

from ptgflow.engine.edit.changes import Changes, Mark, applied, carried, followed
from ptgflow.engine.edit.request import Refinement
from ptgflow.engine.edit.rules import EditAsk, Revision
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.request import Decoded


@final
class EditRow:
    """Ends at a fixed point, at a text that it has been before, and after the last round that it may have."""

    def __init__(self, request: Refinement, codec: Codec) -> None:
        self.request = request
        self._codec = codec
        self._text = request.text
        self._token_ids = request.token_ids
        self._seen = {request.text}
        self._trace: list[Changes] = []
        self._marks: tuple[Mark, ...] = ()
        self._passes: set[int] = set()
        self.finished = False

    def ask(self, row: int) -> EditAsk:
        """What an editor is shown."""
        return EditAsk(
            row=row,
            text=self._text,
            token_ids=self._token_ids,
            prompt_ids=self.request.prompt_ids,
            round=len(self._trace),
            last=len(self._trace) == self.request.rounds - 1,
        )

    def settle(self, number: int, revision: Revision) -> None:
        """Take in what a round made of the text.

        Raises:
            ValueError: changes that do not belong to the text.
        """
        self._passes.add(number)
        changes = tuple(one for one in revision.changes if one.new != one.old)
        if not changes:
            self.finished = True
            return
        self._text = applied(self._text, changes)
        self._marks = followed(self._marks, changes)
        self._trace.append(changes)
        known = revision.token_ids
        self._token_ids = self._codec.encode(self._text) if known is None else known
        # A text that was there before would be edited the same way again, for ever.
        self.finished = self._text in self._seen or len(self._trace) == self.request.rounds
        self._seen.add(self._text)

    def decoded(self) -> Decoded:
        """What became of the text."""
        return Decoded(
            token_ids=self._token_ids,
            text=self._text,
            scores=self._scores(),
            verdicts=(),
            rejected=(),
            finish_reason="stop",
            rounds=len(self._passes),
            passes=frozenset(self._passes),
            proposed=0,
            accepted=0,
            verify_rounds=0,
            edits=tuple(self._trace),
        )

    def _scores(self) -> tuple[float, ...]:
        """Of a kept token its own; of others the lowest of what wrote it, which no one else can tell apart."""
        if not self._trace:
            return self.request.scores
        lowest = min((mark.score for mark in self._marks), default=0.0)
        return carried(self.request.token_ids, self._token_ids, self.request.scores, lowest)
