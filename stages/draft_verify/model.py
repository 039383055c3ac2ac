"""DraftVerify with a draft model: a smaller model writes ahead, in trees or chains, with slots of its own."""

from typing import ClassVar, final

from ptgflow.diagnostics.codes.methods import NO_DRAFT_MODEL
from ptgflow.engine.draft_models.drafter import ModelDrafter
from ptgflow.engine.draft_models.drawing import DrawingDrafter
from ptgflow.engine.draft_models.translating import TranslatingDrafter
from ptgflow.engine.request import JointDrafter
from ptgflow.errors import RecipeError
from ptgflow.stages.base import StageContext
from ptgflow.stages.draft_verify.spec import ModelDraftOptions
from ptgflow.stages.draft_verify.trees import builder_of
from ptgflow.stages.draft_verify.verifying import Verifying


@final
class Model(Verifying[ModelDraftOptions]):
    """Speculative decoding as it was first published."""

    name: ClassVar[str] = "model"

    def joint(self, context: StageContext) -> tuple[JointDrafter, ...]:
        draft = context.draft_model
        if draft is None:
            raise RecipeError([NO_DRAFT_MODEL(stage=f"{context.slot!r} (draft_verify/model)", slot=context.slot)])
        if draft.codec.fingerprint != context.model.codec.fingerprint:
            return (TranslatingDrafter(draft, context.model, size=self.options.k, least=self.options.least),)
        vocabulary = min(draft.vocab_size, context.model.vocab_size)
        # What heads right before this stage draft is joined with this drafter's, and then no law is of use.
        if self.options.draws and context.drafts is None:
            drawing = DrawingDrafter(
                draft.open_pass(),
                size=self.options.k,
                vocabulary=vocabulary,
                target_vocabulary=context.model.vocab_size,
                device=context.model.device,
                least=self.options.least,
            )
            return (drawing,)
        made = ModelDrafter(
            draft.open_pass(),
            builder_of(self.options),
            size=self.options.k,
            least=self.options.least,
            vocabulary=vocabulary,
        )
        return (made,)
