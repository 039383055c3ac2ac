"""From a stage's options to the rule that opens again."""

from typing import Any

from ptgflow.engine.canvas.remasking import REMASKERS
from ptgflow.engine.canvas.rules import Remasker
from ptgflow.stages.masked.remask_options import REMASK_PARAMETERS, RemaskOptions


def parameters_of(options: RemaskOptions) -> dict[str, Any]:
    """What is given of the rule that `remask` names, by the names that it has there."""
    return {
        rules[options.remask]: getattr(options, option)
        for option, rules in REMASK_PARAMETERS.items()
        if options.remask in rules and getattr(options, option) is not None
    }


def remasker_of(options: RemaskOptions) -> Remasker | None:
    """The rule that `remask` names, with its parameters where they are given; None: nothing is opened again."""
    return None if options.remask == "none" else REMASKERS[options.remask](**parameters_of(options))
