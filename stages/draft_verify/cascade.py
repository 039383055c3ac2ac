"""DraftVerify with a cascade: n-grams draft for a smaller model, which drafts for the target."""

from typing import ClassVar, final

from ptgflow.diagnostics.codes.methods import NO_DRAFT_MODEL
from ptgflow.engine.draft_models.cascade import CascadeDrafter
from ptgflow.engine.draft_models.drafter import ModelDrafter
from ptgflow.engine.lookup.suffixes import Earlier, Suffixes
from ptgflow.engine.request import JointDrafter
from ptgflow.errors import RecipeError
from ptgflow.stages.base import StageContext
from ptgflow.stages.draft_verify.drafter_options import CascadeOptions
from ptgflow.stages.draft_verify.trees import builder_of
from ptgflow.stages.draft_verify.verifying import Verifying


@final
class Cascade(Verifying[CascadeOptions]):
    """CS Drafting, arXiv 2312.11462: a vertical and a horizontal cascade."""

    name: ClassVar[str] = "cascade"

    def joint(self, context: StageContext) -> tuple[JointDrafter, ...]:
        options, draft, target = self.options, context.draft_model, context.model
        if draft is None:
            raise RecipeError([NO_DRAFT_MODEL(stage=f"{context.slot!r} (draft_verify/cascade)", slot=context.slot)])
        builder, earlier = builder_of(options), Earlier(options.earlier_tokens)
        vocabulary = min(draft.vocab_size, target.vocab_size)
        made = CascadeDrafter(
            ModelDrafter(draft.open_pass(), builder, size=options.k, vocabulary=vocabulary),
            lambda: Suffixes(earlier, shortest=1, longest=options.max_match),
            builder,
            size=options.k,
            first=options.first,
            ahead=options.ahead,
            least=options.least,
        )
        return (made,)
