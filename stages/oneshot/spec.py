"""One-Shot generation: the table of decoders."""

from typing import Literal

from pydantic import Field

from ptgflow.contracts import Capability, MethodSpec, Paradigm, StageOptions


class DecoderOptions(StageOptions):
    """What every decoder shares."""

    length: Literal["fixed", "predicted", "beam"] = Field(default="fixed", description="how the length is chosen")


METHODS = (
    MethodSpec(
        paradigm=Paradigm.ONESHOT,
        name="argmax",
        summary="the likeliest token at every position of an all-masked canvas, in one pass",
        reference="NAT, arXiv 1711.02281; the single-round case of masked generation",
        options=DecoderOptions,
        needs=frozenset({Capability.MASK_TOKEN}),
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
