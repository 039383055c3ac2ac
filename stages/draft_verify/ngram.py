"""DraftVerify with n-gram drafts: proposals are looked up in the prompt, the answer, and the draft that was given."""

from typing import ClassVar, final

from ptgflow.engine.request import Drafter
from ptgflow.stages.draft_verify.lookup import NgramDrafter
from ptgflow.stages.draft_verify.spec import NgramOptions
from ptgflow.stages.draft_verify.verifying import Verifying


@final
class Ngram(Verifying[NgramOptions]):
    """Proposes what followed the last tokens the last time that they stood there."""

    name: ClassVar[str] = "ngram"

    def own(self, given: tuple[int, ...]) -> Drafter:
        options = self.options
        return NgramDrafter(k=options.k, min_ngram=options.min_ngram, max_ngram=options.max_ngram, reference=given)
