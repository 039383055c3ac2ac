"""One-Shot generation: the table of decoders."""

from typing import Literal

from pydantic import Field

from ptgflow.contracts import Capability, Conflict, MethodSpec, Paradigm, StageOptions


class WritingOptions(StageOptions):
    """What every decoder shares."""

    weights: str | None = Field(
        default=None, description="a folder that `ptgflow train objective=oneshot` has written; null: what ships"
    )

    def _only(self, name: str, axis: str, *choices: str) -> tuple[Conflict, ...]:
        """What is wrong with an option that only some choices of another one have."""
        given, chosen = getattr(self, name), getattr(self, axis)
        if given in (None, False) or chosen in choices:
            return ()
        written = str(given).lower() if isinstance(given, bool) else given
        reason = f"{name}={written} is of {axis}={' and '.join(choices)}, and {axis} is {chosen}"
        none = "false" if isinstance(given, bool) else "null"
        return (Conflict(reason=reason, remedies=(f"{axis}={choices[0]}", f"{name}={none}")),)


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
        return {"fixed": 0, "predicted": 1, "beam": self.beam or 4}[self.length]

    def conflicts(self) -> tuple[Conflict, ...]:
        return self._only("beam", "length", "beam")


class ArgmaxOptions(LengthOptions):
    """Each place by itself; also with adapters for canvases."""


class CrfOptions(LengthOptions):
    """The best text of a chain."""

    width: int = Field(default=64, ge=1, le=4096, description="tokens of each place that are looked at")


class CtcOptions(WritingOptions):
    """What is looked for among alignments."""

    decode: Literal["greedy", "beam"] = Field(
        default="greedy",
        description="`greedy`: the text of the likeliest alignment; `beam`: the likeliest text over all alignments",
    )
    width: int | None = Field(
        default=None, ge=2, le=1024, description="of decode=beam: texts that are kept after each place; null: 16"
    )
    rescore: bool = Field(
        default=False, description="of decode=beam: whether the model itself chooses among the best 16 texts"
    )

    def conflicts(self) -> tuple[Conflict, ...]:
        return (*self._only("width", "decode", "beam"), *self._only("rescore", "decode", "beam"))


class DagOptions(WritingOptions):
    """What is looked for among paths."""

    decode: Literal["greedy", "lookahead", "viterbi", "joint_viterbi", "beam"] = Field(
        default="lookahead",
        description="`greedy`: the likeliest link at each vertex; `lookahead`: the likeliest link and token together; "
        "`viterbi`: the likeliest path; `joint_viterbi`: the likeliest path with its tokens; `beam`: the likeliest "
        "text over all paths",
    )
    token_weight: float | None = Field(
        default=None, ge=0.0, le=10.0, description="of lookahead and beam: of tokens against links; null: 1"
    )
    length_power: float | None = Field(
        default=None,
        ge=0.0,
        le=10.0,
        description="of viterbi, joint_viterbi and beam: scores are divided by this power of the length; null: 1, and "
        "1.1 of beam",
    )
    width: int | None = Field(
        default=None, ge=2, le=1024, description="of decode=beam: texts that go on from each vertex; null: 100"
    )
    rescore: bool = Field(
        default=False, description="of decode=beam: whether the model itself chooses among the best 16 texts"
    )

    def conflicts(self) -> tuple[Conflict, ...]:
        return (
            *self._only("token_weight", "decode", "lookahead", "beam"),
            *self._only("length_power", "decode", "viterbi", "joint_viterbi", "beam"),
            *self._only("width", "decode", "beam"),
            *self._only("rescore", "decode", "beam"),
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
        options=CtcOptions,
        needs=frozenset({Capability.MASK_TOKEN}),
        implementation="ptgflow.stages.oneshot.ctc:Ctc",
    ),
    MethodSpec(
        paradigm=Paradigm.ONESHOT,
        name="dag",
        summary="a directed acyclic graph over positions; the text is a path through it",
        reference="DA-Transformer, arXiv 2205.07459; Viterbi decoding, arXiv 2210.05193",
        options=DagOptions,
        needs=frozenset({Capability.MASK_TOKEN}),
        implementation="ptgflow.stages.oneshot.dag:Graph",
    ),
    MethodSpec(
        paradigm=Paradigm.ONESHOT,
        name="crf",
        summary="a token at every position, of which neighbours have a say in each other",
        reference="NART-CRF with dynamic transitions, arXiv 1910.11555",
        options=CrfOptions,
        needs=frozenset({Capability.MASK_TOKEN}),
        implementation="ptgflow.stages.oneshot.crf:Crf",
    ),
)
