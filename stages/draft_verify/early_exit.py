"""DraftVerify with early exit: the target's lower layers and its output matrix draft."""

from typing import ClassVar, final

from ptgflow.engine.draft_models.drafter import ModelDrafter
from ptgflow.engine.draft_models.parts import part_of
from ptgflow.engine.request import JointDrafter
from ptgflow.stages.base import StageContext
from ptgflow.stages.draft_verify.spec import EarlyExitOptions
from ptgflow.stages.draft_verify.trees import builder_of
from ptgflow.stages.draft_verify.verifying import Verifying


@final
class EarlyExit(Verifying[EarlyExitOptions]):
    """LayerSkip's self-speculation, arXiv 2404.16710; it drafts well where a model was trained to exit early."""

    name: ClassVar[str] = "early_exit"

    def joint(self, context: StageContext) -> tuple[JointDrafter, ...]:
        model = context.model
        layers = min(self.options.layers or model.layers // 2, model.layers)
        part = part_of(model, range(max(layers, 1)))
        builder = builder_of(self.options)
        return (
            ModelDrafter(part, builder, size=self.options.k, vocabulary=model.vocab_size, least=self.options.least),
        )
