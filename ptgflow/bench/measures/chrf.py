"""chrF: F-score of character n-grams, by sacrebleu."""

import importlib
import importlib.util
from dataclasses import replace
from typing import Any, Final

from ptgflow.diagnostics import Diagnostic, Severity
from ptgflow.diagnostics.codes.methods import MISSING_EXTRA

_PACKAGE: Final = "sacrebleu"


def absence() -> Diagnostic | None:
    """What to say where sacrebleu is not installed, and the measure is left out."""
    if importlib.util.find_spec(_PACKAGE) is not None:
        return None
    found = MISSING_EXTRA(stage="chrF", package=_PACKAGE, extra="bench", notes=["chrF is left out of the comparison"])
    return replace(found, severity=Severity.WARNING)


class Chrf:
    """chrF2 of a text against another (Popovic, WMT 2015: n-grams to 6, beta 2), from 0 to 100."""

    def __init__(self) -> None:
        self._metric: Any = importlib.import_module("sacrebleu.metrics").CHRF()

    def __call__(self, text: str, reference: str) -> float:
        score: float = self._metric.sentence_score(text, [reference]).score
        return score
