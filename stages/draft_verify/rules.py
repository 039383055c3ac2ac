"""From a stage's options to the rule that the loop accepts by."""

from typing import Any

from ptgflow.engine.acceptance import RULES, AcceptanceRule
from ptgflow.stages.draft_verify.options import PARAMETERS, VerifyOptions


def rule_of(options: VerifyOptions) -> AcceptanceRule:
    """The rule that `accept` names, with its parameters where they are given."""
    given: dict[str, Any] = {
        name: getattr(options, option)
        for option, (rule, name) in PARAMETERS.items()
        if rule == options.accept and getattr(options, option) is not None
    }
    return RULES[options.accept](**given)
