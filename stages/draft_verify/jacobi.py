"""DraftVerify with fixed-point iteration: the target's own answers to earlier guesses are proposed."""

from typing import ClassVar, final

from ptgflow.engine.jacobi.iteration import JacobiDrafter
from ptgflow.engine.jacobi.lookahead import LookaheadDrafter
from ptgflow.engine.request import JointDrafter
from ptgflow.stages.base import StageContext
from ptgflow.stages.draft_verify.drafter_options import JacobiOptions
from ptgflow.stages.draft_verify.trees import builder_of
from ptgflow.stages.draft_verify.verifying import Verifying


@final
class Jacobi(Verifying[JacobiOptions]):
    """Jacobi decoding, arXiv 2305.10427, as a chain; lookahead decoding, arXiv 2402.02057, as any other tree."""

    name: ClassVar[str] = "jacobi"

    def joint(self, context: StageContext) -> tuple[JointDrafter, ...]:
        del context
        options = self.options
        if options.tree == "chain":
            return (JacobiDrafter(size=options.k),)
        width, ngram, guesses = options.shape
        made = LookaheadDrafter(
            builder_of(options),
            size=options.k,
            width=width,
            ngram=ngram,
            guesses=guesses,
            from_text=options.from_text,
            least=options.least,
        )
        return (made,)
