"""Accelerators that are no paradigm of their own, and what decides whether one goes with a stage (survey, Table 5)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ptgflow.contracts.contract import Writes
from ptgflow.contracts.paradigms import ParadigmSpec


class Fit(StrEnum):
    """How an accelerator goes with a paradigm: the marks of Table 5."""

    YES = "yes"
    PARTIAL = "partial"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A family of accelerators."""

    name: str
    survey_name: str
    reuses_past: bool
    """Whether it relies on earlier passes staying valid."""
    why: str

    def fit(self, spec: ParadigmSpec) -> Fit:
        """Derived from the order in which the paradigm settles tokens, and from nothing else."""
        if not self.reuses_past or spec.writes is Writes.APPENDS:
            return Fit.YES
        return Fit.NO if spec.writes is Writes.ONCE else Fit.PARTIAL

    def reason(self, spec: ParadigmSpec) -> str:
        """Why it fits so."""
        if not self.reuses_past:
            return self.why
        return {
            Writes.APPENDS: "text grows at its end, so keys and values of what stands before stay exact",
            Writes.ONCE: "a single pass has no later pass to reuse keys and values in",
            Writes.REVISES: "settled positions may change again: reuse is an approximation and must be named as one",
        }[spec.writes]


ACCELERATORS: tuple[Accelerator, ...] = (
    Accelerator(
        name="compression",
        survey_name="Model Compression",
        reuses_past=False,
        why="a smaller or quantised model changes the cost of a pass, not what is decoded from it",
    ),
    Accelerator(
        name="kv_reuse",
        survey_name="Caching (KV reuse)",
        reuses_past=True,
        why="",
    ),
    Accelerator(
        name="infrastructure",
        survey_name="Infra-Level Optimization",
        reuses_past=False,
        why="kernels and scheduling change how fast a pass is computed, not what is decoded from it",
    ),
)


class Accelerate(BaseModel):
    """The accelerators of a run (`accelerate=NAME`, or `accelerate.kv_reuse=exact`). Compression is `model.dtype`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kv_reuse: Literal["auto", "exact"] = Field(
        default="auto",
        description="`auto`: each stage reuses keys and values where that is exact, or by the approximation that it "
        "names; `exact`: every stage must reuse them exactly",
    )
    attention: Literal["auto", "sdpa", "eager"] = Field(
        default="auto", description="the framework's attention kernel; `auto`: fused (`sdpa`) where the model allows it"
    )
    forward: Literal["auto", "written", "transformers"] = Field(
        default="auto",
        description="`written`: the pass is written out over merged and packed weights; `transformers`: as that "
        "library has it; `auto`: written out where the model's family is",
    )
    shapes: Literal["auto", "fixed", "ragged"] = Field(
        default="auto",
        description="`fixed`: passes over few tokens are padded to a few shapes, replayed as graphs on CUDA; "
        "`ragged`: nothing is padded; `auto`: fixed on CUDA devices where the pass is written out",
    )

    @property
    def kernels(self) -> tuple[str, str, str]:
        """What decides how a loaded model computes."""
        return self.attention, self.forward, self.shapes
