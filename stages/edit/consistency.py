"""Parts that were written side by side become one text: nothing is said twice, and lists look alike."""

from typing import final

from ptgflow.engine.edit.consistency.editor import Consistency
from ptgflow.engine.edit.rules import Editor
from ptgflow.stages.base import StageContext
from ptgflow.stages.edit.editing import Editing
from ptgflow.stages.edit.options import ConsistencyOptions


@final
class ConsistencyOfWholes(Editing[ConsistencyOptions]):
    """Rules alone; behind a `merge` it sees the whole."""

    def editor(self, context: StageContext) -> Editor:
        del context
        options = self._options
        return Consistency(similar=options.similar, layout=options.layout is not None)
