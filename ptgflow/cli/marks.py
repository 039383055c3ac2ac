"""`show=edits`: an answer in which is seen what editors took out and what they put in."""

from typing import Final

from ptgflow.executors.marked import State, marked_answer
from ptgflow.executors.result import Result

_COLOURS: Final[dict[State, str]] = {"kept": "{}", "removed": "\033[31;9m{}\033[0m", "added": "\033[32m{}\033[0m"}
_WDIFF: Final[dict[State, str]] = {"kept": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}


def with_edits(result: Result, *, colour: bool) -> str:
    """On a terminal in colour, elsewhere as wdiff does."""
    marks = _COLOURS if colour else _WDIFF
    return "".join(marks[one.state].format(one.text) for one in marked_answer(result))
