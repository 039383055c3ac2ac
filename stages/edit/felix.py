"""Tags alone: what stays, and where holes are for a Masked stage behind (FELIX, arXiv 2003.10687)."""

from typing import TYPE_CHECKING, final

from ptgflow.contracts import Canvas, Text
from ptgflow.engine.edit.changes import carried
from ptgflow.engine.edit.felix import ChangesAsTags, PolicyTags
from ptgflow.engine.edit.policies.editors import Levenshtein, Thresholds
from ptgflow.engine.edit.policies.rewriting import HOLE
from ptgflow.engine.edit.request import EditRequest
from ptgflow.engine.edit.rules import Editor
from ptgflow.engine.models.progress import Progress
from ptgflow.stages.base import AbstractMethod, StageContext, Work
from ptgflow.stages.edit.policies import policies_of
from ptgflow.stages.edit.spec import FelixOptions, TaggerOptions

if TYPE_CHECKING:
    from ptgflow.stages.edit.tagger import Tagger


@final
class Felix(AbstractMethod[Text, Canvas]):
    """One round of tags. What they keep is frozen."""

    def __init__(self, options: FelixOptions) -> None:
        self._options = options
        self._editor: Editor | None = None

    def prepare(self, progress: Progress) -> None:
        """Fetch what tags.

        Raises:
            RunError: it cannot be had.
        """
        if self._options.tags == "tagger":
            self._tagger().prepare(progress)

    def run(self, value: Text, context: StageContext) -> Work[Canvas]:
        """Yield one text.

        Raises:
            RunError: what the tags are made of cannot be used.
        """
        editor = self._editor = self._editor or self._made(context)
        decoded = yield EditRequest(
            text=value.text,
            token_ids=value.token_ids,
            scores=(0.0,) * len(value.token_ids),
            editor=editor,
            rounds=1,
            prompt_ids=value.prompt.token_ids if value.prompt is not None else (),
            visible=False,
        )
        holes = tuple(token == HOLE for token in decoded.token_ids)
        return Canvas(
            token_ids=tuple(max(token, 0) for token in decoded.token_ids),
            tokenizer=value.tokenizer,
            holes=holes,
            frozen=tuple(not hole for hole in holes),
            origin=carried(value.token_ids, decoded.token_ids, value.origin, context.slot),
            prompt=value.prompt,
        )

    def _made(self, context: StageContext) -> Editor:
        own = self._options
        if own.tags == "tagger":
            return ChangesAsTags(self._tagger().editor(context), context.model.codec)
        thresholds = Thresholds(delete=own.delete, insert=own.insert, most=own.most)
        return PolicyTags(Levenshtein(policies_of(context, own.weights, own.adapters), thresholds))

    def _tagger(self) -> "Tagger":
        # A tagger runs on what an extra brings.
        from ptgflow.stages.edit.tagger import Tagger

        return Tagger(TaggerOptions(tagger=self._options.tagger, least_token=self._options.least_token))
