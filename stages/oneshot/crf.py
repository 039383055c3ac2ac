"""One-Shot generation by a chain: a token in each place, of which neighbours have a say in each other."""

from typing import ClassVar, final

from ptgflow.engine.oneshot.reading.crf import CrfReader
from ptgflow.engine.oneshot.reading.reader import Reader
from ptgflow.engine.oneshot.windows import Windows
from ptgflow.stages.oneshot.spec import CrfOptions
from ptgflow.stages.oneshot.writing import Sized


@final
class Crf(Sized[CrfOptions]):
    """The best text over the likeliest tokens of each place."""

    name: ClassVar[str] = "crf"

    def reader(self, windows: Windows, end: int) -> Reader:
        return CrfReader(windows.heads, end, self._options.width)
