"""Tokens that the target finds unlikely give way to its own, where both sides are likelier for it."""

from typing import final

from ptgflow.engine.edit.locating.known import Limits
from ptgflow.engine.edit.locating.locate_revise import LocateRevise
from ptgflow.engine.edit.rules import Editor
from ptgflow.stages.base import StageContext
from ptgflow.stages.edit.editing import Editing
from ptgflow.stages.edit.spec import LocateReviseOptions


@final
class LocateAndRevise(Editing[LocateReviseOptions]):
    """The stage's model judges and revises."""

    def editor(self, context: StageContext) -> Editor:
        """Open a pass of the model.

        Raises:
            RunError: whatever opening a pass raises.
        """
        options = self._options
        limits = Limits(weak=options.weak, candidates=options.candidates, ahead=options.ahead, gain=options.gain)
        return LocateRevise(context.model, limits)
