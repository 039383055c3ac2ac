"""DraftVerify with several drafters: what any of them proposes is in one tree, and one pass judges it."""

from typing import ClassVar, final

from ptgflow.engine.request import Drafter, JointDrafter
from ptgflow.stages.base import StageContext
from ptgflow.stages.draft_verify.lookup import NgramDrafter
from ptgflow.stages.draft_verify.sources import suffix_drafter
from ptgflow.stages.draft_verify.spec import EnsembleOptions, NgramOptions, SuffixOptions
from ptgflow.stages.draft_verify.verifying import Verifying


@final
class Ensemble(Verifying[EnsembleOptions]):
    """Heads before this stage, and the drafters that it names, each with its defaults."""

    name: ClassVar[str] = "ensemble"

    def own(self, given: tuple[int, ...]) -> Drafter | None:
        if "ngram" not in self.options.drafters:
            return None
        options = NgramOptions(k=self.options.k)
        return NgramDrafter(k=options.k, min_ngram=options.min_ngram, max_ngram=options.max_ngram, reference=given)

    def joint(self, context: StageContext) -> tuple[JointDrafter, ...]:
        del context
        if "suffix" not in self.options.drafters:
            return ()
        options = SuffixOptions()
        made = suffix_drafter(
            self.options,
            shortest=options.min_match,
            longest=options.max_match,
            earlier_tokens=options.earlier_tokens,
        )
        return (made,)
