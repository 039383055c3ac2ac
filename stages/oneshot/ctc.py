"""One-Shot generation by CTC: more places than tokens, and what is left when repetitions and blanks have gone."""

from typing import ClassVar, final

from ptgflow.engine.oneshot.reading.ctc import CtcReader
from ptgflow.engine.oneshot.reading.reader import Reader
from ptgflow.engine.oneshot.windows import Windows
from ptgflow.stages.oneshot.spec import CtcOptions
from ptgflow.stages.oneshot.writing import RESCORED, Writing


@final
class Ctc(Writing[CtcOptions]):
    """The text need not be as long as the window, so no length has to be chosen."""

    name: ClassVar[str] = "ctc"

    def reader(self, windows: Windows, end: int) -> Reader:
        width = (self._options.width or 16) if self._options.decode == "beam" else None
        return CtcReader(windows.heads, end, width)

    def rescored(self) -> int:
        return RESCORED if self._options.rescore else 0
