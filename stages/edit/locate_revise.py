"""Tokens that the target finds unlikely give way to its own, where both sides are likelier for it."""

from typing import Final, final

from ptgflow.engine.canvas.gated_denoiser import GatedDenoiser
from ptgflow.engine.edit.locating.known import Limits
from ptgflow.engine.edit.locating.locate_revise import LocateRevise
from ptgflow.engine.edit.locating.proposers import ByMasked, ByTarget, Proposer
from ptgflow.engine.edit.rules import Editor
from ptgflow.stages.base import StageContext
from ptgflow.stages.edit.editing import Editing
from ptgflow.stages.edit.options import LocateReviseOptions
from ptgflow.stages.masked.adapters import adapters

BLOCK: Final = 32
"""Places of a canvas, where the training of the adapters knew no blocks."""


@final
class LocateAndRevise(Editing[LocateReviseOptions]):
    """The stage's model judges and revises."""

    def editor(self, context: StageContext) -> Editor:
        """Open a pass of the model.

        Raises:
            RunError: whatever opening a pass raises, and what is wrong with adapters.
        """
        options = self._options
        limits = Limits(weak=options.weak, candidates=options.candidates, ahead=options.ahead, gain=options.gain)
        return LocateRevise(context.model, limits, self._proposer(context))

    def _proposer(self, context: StageContext) -> Proposer:
        if self._options.by == "target":
            return ByTarget()
        heads = adapters(context.model, context.slot, self._options.weights, paradigm="edit")
        length = max(heads.config.block_length or BLOCK, 2)
        return ByMasked(GatedDenoiser(heads, context.model), length=length)
