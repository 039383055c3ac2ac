"""Remask: the table of ways to open places of a text again."""

from pydantic import Field

from ptgflow.contracts import MethodSpec, Paradigm, StageOptions


class WeakestOptions(StageOptions):
    """How much is opened."""

    ratio: float = Field(
        default=0.3, gt=0.0, le=1.0, description="share of the positions that become holes, rounded down, at least one"
    )


METHODS = (
    MethodSpec(
        paradigm=Paradigm.REMASK,
        name="weakest",
        summary="the least certain tokens of a text become holes, the others stay",
        reference="Mask-Predict, arXiv 1904.09324",
        options=WeakestOptions,
        implementation="ptgflow.stages.remask.weakest:Weakest",
    ),
)
