"""Decompose: the table of ways to split."""

from typing import Any, Literal

from pydantic import Field, field_validator

from ptgflow.contracts import Capability, Contract, MethodSpec, Paradigm, Prompt, Shape, StageOptions, Text

_PROMPTS = Contract(takes=(Prompt,), leaves=None, shape=Shape.FORK)
_PASSAGES = Contract(takes=(Text,), leaves=None, shape=Shape.FORK)


class SkeletonOptions(StageOptions):
    """How the answer's skeleton is asked for and read."""

    max_points: int = Field(default=6, ge=2, le=32, description="most points; later ones are dropped")
    min_points: int = Field(default=2, ge=1, le=32, description="fewer points take the plain path")

    @field_validator("min_points")
    @classmethod
    def _not_above_the_most(cls, value: int, info: Any) -> int:
        most = info.data.get("max_points", 32)
        if value > most:
            raise ValueError(f"it is above max_points, {most}")
        return value

    sentences: int = Field(
        default=2, ge=1, le=12, description="sentences that a point is asked for: so many, or one less"
    )
    plan_tokens: int = Field(default=96, ge=8, le=2048, description="most tokens of the skeleton")
    router: Literal["rules", "model"] | None = Field(
        default="rules", description="who decides whether a request is fit for splitting; null: always split"
    )


class SchemaOptions(StageOptions):
    """Nothing to set: the prompt's own items decide."""


class PassagesOptions(StageOptions):
    """How a text is cut."""

    passage_tokens: int = Field(default=128, ge=1, le=8192, description="most tokens of a passage")


METHODS = (
    MethodSpec(
        paradigm=Paradigm.DECOMPOSE,
        name="skeleton",
        summary="the model lists the points of its answer, and each point is written on its own",
        reference="Skeleton-of-Thought, arXiv 2307.15337",
        options=SkeletonOptions,
        needs=frozenset({Capability.CAUSAL, Capability.KV_CACHE}),
        contract=_PROMPTS,
        implementation="ptgflow.stages.decompose.skeleton:Skeleton",
    ),
    MethodSpec(
        paradigm=Paradigm.DECOMPOSE,
        name="schema",
        summary="a prompt that lists its own items becomes one prompt an item",
        reference="ParallelPrompt, arXiv 2506.18728",
        options=SchemaOptions,
        contract=_PROMPTS,
        implementation="ptgflow.stages.decompose.schema:SchemaSplit",
    ),
    MethodSpec(
        paradigm=Paradigm.DECOMPOSE,
        name="passages",
        summary="an existing text is split at paragraphs and sentences",
        reference="survey section 3.2, answer-level decomposition of a text that is already there",
        options=PassagesOptions,
        contract=_PASSAGES,
        implementation="ptgflow.stages.decompose.passages:Passages",
    ),
)
