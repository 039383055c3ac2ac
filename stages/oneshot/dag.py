"""One-Shot generation by a graph: a token for each vertex, and a path through some of them."""

from functools import partial
from typing import ClassVar, final

from ptgflow.engine.oneshot.dag import beam_search, greedy, joint_viterbi, lookahead, viterbi
from ptgflow.engine.oneshot.reading.dag import DagReader, Search
from ptgflow.engine.oneshot.reading.reader import Reader
from ptgflow.engine.oneshot.windows import Windows
from ptgflow.stages.oneshot.spec import DagOptions
from ptgflow.stages.oneshot.writing import RESCORED, Writing

_MARKS = 1
"""Vertices of a path that do not count towards its length: the last, which writes the end token."""


@final
class Graph(Writing[DagOptions]):
    """The text need not have a token for each vertex, so no length has to be chosen."""

    name: ClassVar[str] = "dag"

    def reader(self, windows: Windows, end: int) -> Reader:
        del end
        return DagReader(windows.heads, self._search())

    def rescored(self) -> int:
        return RESCORED if self._options.rescore else 0

    def _search(self) -> Search:
        options = self._options
        weight = 1.0 if options.token_weight is None else options.token_weight
        power = 1.0 if options.length_power is None else options.length_power
        match options.decode:
            case "greedy":
                return greedy
            case "lookahead":
                return partial(lookahead, beta=weight)
            case "viterbi":
                return partial(viterbi, beta=power, uncounted=_MARKS)
            case "joint_viterbi":
                return partial(joint_viterbi, beta=power, uncounted=_MARKS)
            case "beam":
                alpha = 1.1 if options.length_power is None else options.length_power
                return partial(beam_search, width=options.width or 100, alpha=alpha, beta=weight)
