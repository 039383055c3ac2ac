"""Editors whose policies are learnt, as stages."""

from pathlib import Path
from typing import Final, final

from ptgflow.diagnostics.codes.runtime import HEADS_MISMATCH, NO_MASK
from ptgflow.engine.edit.policies.deciding import Policies
from ptgflow.engine.edit.policies.editors import Insertion, Levenshtein, Reposition, Thresholds
from ptgflow.engine.edit.rules import Editor
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.loading import WEIGHTS, load_heads
from ptgflow.engine.models.digest import file_digest
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError
from ptgflow.stages.base import StageContext
from ptgflow.stages.edit.editing import Editing
from ptgflow.stages.edit.policy_options import InsertionOptions, LevenshteinOptions, RepositionOptions
from ptgflow.stages.shipped import given_or_shipped, shipped_heads

_TRAIN: Final = "objective=levenshtein"


@final
class DeleteInsertFill(Editing[LevenshteinOptions]):
    """The Levenshtein Transformer's round."""

    def editor(self, context: StageContext) -> Editor:
        """Load policies and adapters.

        Raises:
            RunError: see `policies_of`.
        """
        own = self._options
        policies = policies_of(context, own.weights, own.adapters)
        return Levenshtein(policies, Thresholds(delete=own.delete, insert=own.insert, most=own.most))


@final
class InsertAlone(Editing[InsertionOptions]):
    """The Insertion Transformer's round."""

    def editor(self, context: StageContext) -> Editor:
        """Load policies and adapters.

        Raises:
            RunError: see `policies_of`.
        """
        own = self._options
        return Insertion(policies_of(context, own.weights, own.adapters), Thresholds(insert=own.insert, most=own.most))


@final
class MoveInsertFill(Editing[RepositionOptions]):
    """EDITOR's round."""

    def editor(self, context: StageContext) -> Editor:
        """Load policies and adapters.

        Raises:
            RunError: see `policies_of`.
        """
        own = self._options
        policies = policies_of(context, own.weights, own.adapters)
        return Reposition(policies, Thresholds(delete=own.move, insert=own.insert, most=own.most))


def policies_of(context: StageContext, weights: str | None, adapters: str | None) -> Policies:
    """Policies, over the adapters that they were trained with.

    Args:
        context: of the stage.
        weights: the folder of the policies; None: those that ship.
        adapters: the folder of the adapters; None: those that ship.

    Raises:
        RunError: NO_HEADS, NO_MASK, HEADS_UNREADABLE, HEADS_MISMATCH, UNSAFE_WEIGHTS, or UNSUPPORTED_MODEL for a model
            whose pass is not written out.
    """
    model, slot = context.model, context.slot
    stage = f"{slot!r} (edit)"
    heads = given_or_shipped(weights, model, kind="levenshtein", stage=stage, slot=slot, train=_TRAIN)
    found = _adapters(model, stage, slot, adapters)
    digest = file_digest(Path(found.source) / WEIGHTS)
    if heads.config.adapters != digest:
        what = "adapters for canvases, by their SHA-256,"
        raise RunError([HEADS_MISMATCH(path=heads.source, what=what, want=digest, have=str(heads.config.adapters))])
    return Policies(heads, found, model)


def _adapters(model: LoadedModel, stage: str, slot: str, adapters: str | None) -> Heads:
    folder = Path(adapters) if adapters is not None else shipped_heads(model.name, "masked")
    if folder is None:
        train = "objective=mdm"
        remedy = (
            f"write stages.{slot}.adapters=FOLDER; ptgflow train {train} model={model.name} data=FILE output=FOLDER "
            "trains them"
        )
        raise RunError([NO_MASK(stage=stage, slot=slot, model=model.name, train=train, help=remedy)])
    return load_heads(folder, model, kind="masked")
