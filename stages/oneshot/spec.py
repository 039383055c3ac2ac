"""One-Shot generation: the table of decoders."""

from typing import Literal

from pydantic import Field

from ptgflow.contracts import Capability, MethodSpec, Paradigm, StageOptions


class DecoderOptions(StageOptions):
    """What every decoder shares."""

    length: Literal["fixed", "predicted", "beam"] = Field(default="fixed", description="how the length is chosen")


class ArgmaxOptions(StageOptions):
    """One canvas of a fixed length; an end token in it ends the text sooner."""

    places: int = Field(default=16, ge=1, le=1024, description="places of the canvas: most tokens of the text")
    weights: str | None = Field(
        default=None, description="a folder with adapters for canvases; null: those that ship for the model"
    )


METHODS = (
    MethodSpec(
        paradigm=Paradigm.ONESHOT,
        name="argmax",
        summary="the likeliest token at every position of an all-masked canvas, in one pass",
        reference="NAT, arXiv 1711.02281; the single-round case of masked generation",
        options=ArgmaxOptions,
        needs=frozenset({Capability.MASK_TOKEN}),
        implementation="ptgflow.stages.oneshot.argmax:Argmax",
    ),
    MethodSpec(
        paradigm=Paradigm.ONESHOT,
        name="ctc",
        summary="more positions than tokens, repetitions and blanks collapsed",
        reference="CTC-NAT, arXiv 1811.04719",
        options=DecoderOptions,
        needs=frozenset({Capability.ALIGNMENT_HEAD}),
    ),
    MethodSpec(
        paradigm=Paradigm.ONESHOT,
        name="dag",
        summary="a directed acyclic graph over positions; the text is a path through it",
        reference="DA-Transformer, ICML 2022",
        options=DecoderOptions,
        needs=frozenset({Capability.ALIGNMENT_HEAD}),
    ),
)
