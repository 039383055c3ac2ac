"""DraftVerify with n-gram drafts: proposals are looked up in the prompt, the answer, and the draft that was given."""

from typing import ClassVar, final

from ptgflow.engine.request import Drafter, JointDrafter
from ptgflow.stages.base import StageContext
from ptgflow.stages.draft_verify.lookup import NgramDrafter
from ptgflow.stages.draft_verify.sources import suffix_drafter
from ptgflow.stages.draft_verify.spec import NgramOptions
from ptgflow.stages.draft_verify.verifying import Verifying


@final
class Ngram(Verifying[NgramOptions]):
    """Proposes what followed the last tokens the last time that they stood there."""

    name: ClassVar[str] = "ngram"

    def own(self, given: tuple[int, ...]) -> Drafter | None:
        options = self.options
        if options.tree != "chain":
            return None
        return NgramDrafter(k=options.k, min_ngram=options.min_ngram, max_ngram=options.max_ngram, reference=given)

    def joint(self, context: StageContext) -> tuple[JointDrafter, ...]:
        """Several candidates in a tree, by how often each followed."""
        del context
        options = self.options
        if options.tree == "chain":
            return ()
        made = suffix_drafter(
            options,
            shortest=options.min_ngram,
            longest=options.max_ngram,
            earlier_tokens=0,
        )
        return (made,)
