"""From a stage's options to how deep its drafts are."""

from typing import Literal

from ptgflow.engine.lengths import Heuristic, RowLength, Thompson
from ptgflow.stages.draft_verify.options import VerifyOptions


def length_of(options: VerifyOptions, seed: int) -> Literal["fixed", "expected_throughput"] | RowLength:
    """What `length` names, for one row. What the drafter is sure of decides in the drafter (`least`)."""
    if options.length == "heuristic":
        return Heuristic(most=options.k)
    if options.length == "thompson":
        return Thompson(most=options.k, seed=seed)
    return "expected_throughput" if options.length == "expected_throughput" else "fixed"
