"""DraftVerify with layer skipping: the target without some of its layers drafts, and which ones is searched."""

from typing import ClassVar, final

from ptgflow.engine.draft_models.skipping import SkippingDrafter
from ptgflow.engine.request import JointDrafter
from ptgflow.stages.base import StageContext
from ptgflow.stages.draft_verify.spec import LayerSkipOptions
from ptgflow.stages.draft_verify.trees import builder_of
from ptgflow.stages.draft_verify.verifying import Verifying


@final
class LayerSkip(Verifying[LayerSkipOptions]):
    """Self-speculation without training: Draft & Verify, arXiv 2309.08168, with SWIFT's search, arXiv 2410.06916."""

    name: ClassVar[str] = "layer_skip"

    def joint(self, context: StageContext) -> tuple[JointDrafter, ...]:
        options = self.options
        made = SkippingDrafter(
            context.model,
            builder_of(options),
            size=options.k,
            skip=options.skip,
            search=options.search,
            least=options.least,
        )
        return (made,)
