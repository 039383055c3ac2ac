"""DraftVerify with suffix drafts: trees of what followed the same end, in this text and in earlier requests."""

from typing import ClassVar, final

from ptgflow.engine.request import JointDrafter
from ptgflow.stages.base import StageContext
from ptgflow.stages.draft_verify.sources import suffix_drafter
from ptgflow.stages.draft_verify.spec import SuffixOptions
from ptgflow.stages.draft_verify.verifying import Verifying


@final
class Suffix(Verifying[SuffixOptions]):
    """SuffixDecoding, arXiv 2411.04975: agents and templates repeat what they have written before."""

    name: ClassVar[str] = "suffix"

    def joint(self, context: StageContext) -> tuple[JointDrafter, ...]:
        del context
        options = self.options
        made = suffix_drafter(
            options,
            shortest=options.min_match,
            longest=options.max_match,
            earlier_tokens=options.earlier_tokens,
        )
        return (made,)
