"""One-Shot generation: the table of decoders."""

from typing import Literal

from pydantic import Field

from ptgflow.contracts import Capability, Conflict, MethodSpec, Paradigm, StageOptions


class WritingOptions(StageOptions):
    """What every decoder shares."""

    weights: str | None = Field(
        default=None, description="a folder that `ptgflow train objective=oneshot` has written; null: what ships"
    )


class LengthOptions(WritingOptions):
    """How long the text is to be, of decoders that write a token in each place."""

    length: Literal["fixed", "predicted", "beam"] = Field(
        default="fixed",
        description="`fixed`: the window, in which an end token ends the text sooner; `predicted`: the length head's "
        "likeliest; `beam`: its likeliest ones, among which the model itself chooses",
    )
    beam: int | None = Field(default=None, ge=2, le=64, description="of length=beam: lengths that are tried; null: 4")
    places: int | None = Field(
        default=None, ge=1, le=1024, description="places of the window: most tokens of the text; null: as in training"
    )

    @property
    def tried(self) -> int:
        """How many lengths are tried."""
        return {"fixed": 0, "predicted": 1, "beam": self.beam or _LENGTHS}[self.length]

    def conflicts(self) -> tuple[Conflict, ...]:
        if self.beam is None or self.length == "beam":
            return ()
        reason = f"beam={self.beam} is of length=beam, and length is {self.length}"
        return (Conflict(reason=reason, remedies=("length=beam", "beam=null")),)


_LENGTHS = 4
"""As many lengths are tried by default."""


class ArgmaxOptions(LengthOptions):
    """Each place by itself; also with adapters for canvases."""


class DecoderOptions(StageOptions):
    """What is not implemented yet."""


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
