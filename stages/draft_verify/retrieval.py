"""DraftVerify with retrieval: what followed the same words in a datastore, as a tree by frequency."""

from pathlib import Path
from typing import ClassVar, final

from ptgflow.diagnostics.codes.methods import NO_DATASTORE
from ptgflow.engine.lookup.datastore import load_datastore
from ptgflow.engine.lookup.drafter import LookupDrafter
from ptgflow.engine.lookup.retrieved import Retrieved
from ptgflow.engine.request import JointDrafter
from ptgflow.errors import RecipeError
from ptgflow.stages.base import StageContext
from ptgflow.stages.draft_verify.drafter_options import RetrievalOptions
from ptgflow.stages.draft_verify.trees import builder_of
from ptgflow.stages.draft_verify.verifying import Verifying


@final
class Retrieval(Verifying[RetrievalOptions]):
    """REST, arXiv 2311.08252; the tree `dyspec` has the most frequent prefixes, as in the paper."""

    name: ClassVar[str] = "retrieval"

    def joint(self, context: StageContext) -> tuple[JointDrafter, ...]:
        options, model = self.options, context.model
        if options.datastore is None:
            stage = f"{context.slot!r} (draft_verify/retrieval)"
            raise RecipeError([NO_DATASTORE(stage=stage, slot=context.slot, model=model.name)])
        store, _ = load_datastore(Path(options.datastore), model.codec, model=model.name)
        made = LookupDrafter(
            lambda: Retrieved(store, shortest=options.min_match, longest=options.max_match, most=options.candidates),
            builder_of(options),
            size=options.k,
            least=options.least,
        )
        return (made,)
