"""What `ptgflow train` may be told. Data only."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from ptgflow.contracts import ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.engine.heads.config import Decoder

Kind = Literal["medusa", "hydra", "blockwise", "gated_lora", "eagle"]
OPTIONS: Final[dict[Kind, frozenset[str]]] = {
    "medusa": frozenset({"heads", "layers", "draft_vocab_size", "own_output"}),
    "hydra": frozenset({"heads", "layers", "draft_vocab_size", "own_output"}),
    "blockwise": frozenset({"heads", "width", "sub_loss", "draft_vocab_size"}),
    "gated_lora": frozenset({"heads", "rank", "anchors", "draft_vocab_size"}),
    "eagle": frozenset({"steps", "draft_vocab_size"}),
}
"""Which options each kind of heads has."""


class HeadOptions(BaseModel):
    """Which heads (`heads=NAME`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    heads: int = Field(default=4, ge=1, le=16, description="positions ahead that are foreseen")
    layers: int = Field(default=1, ge=1, le=8, description="blocks of each head")
    steps: int = Field(default=4, ge=1, le=16, description="steps of eagle that are unrolled")
    width: int | None = Field(
        default=None, ge=1, description="hidden units of blockwise for each position; null: the model's hidden size"
    )
    sub_loss: Literal["mean", "random"] = Field(
        default="mean", description="of blockwise: the loss of a batch is that of all positions, or of one drawn"
    )
    rank: int = Field(default=16, ge=1, description="of the adapters of gated_lora")
    anchors: int | None = Field(
        default=32,
        ge=1,
        description="of gated_lora: positions of each text that are trained from in a step, drawn at random; null: all",
    )
    draft_vocab_size: int | None = Field(
        default=4096, ge=2, description="the commonest tokens of the answers, which can be drafted; null: all"
    )
    own_output: bool = Field(default=True, description="whether an output matrix is trained, or the target's is used")

    @property
    def own(self) -> dict[str, Any]:
        """The kind, and the options that it has."""
        return self.model_dump(include={"kind", *OPTIONS[self.kind]})

    @model_validator(mode="after")
    def _of_the_kind(self) -> "HeadOptions":
        others = sorted(self.model_fields_set - OPTIONS[self.kind] - {"kind"})
        if others:
            known = ", ".join(sorted(OPTIONS[self.kind]))
            raise ValueError(f"{self.kind} heads have no option {others[0]!r}, but {known}")
        return self


class LearningSpec(BaseModel):
    """What every objective may be told: the target, what is learnt from, and the schedule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelCard
    accelerate: Accelerate = Accelerate()
    data: tuple[str, ...] = Field(default=(), description="files and folders with prompts")
    invent: int = Field(
        default=0, ge=0, validate_default=True, description="prompts that the model makes up, beside those of the data"
    )
    output: str = Field(description="a folder for what is trained")
    prompts: int | None = Field(default=None, ge=2, description="most prompts; null: all")
    held_out: int = Field(default=32, ge=1, description="prompts that are not trained on, but measured with")
    max_tokens: int = Field(default=160, ge=8, le=4096, description="most tokens of an answer")
    epochs: int = Field(default=4, ge=1)
    batch_size: int = Field(default=8, ge=1)
    rate: float = Field(default=1e-3, gt=0.0, description="highest learning rate")
    warmup: float = Field(default=0.05, ge=0.0, le=1.0, description="share of steps in which the rate rises")
    clip: float = Field(default=1.0, gt=0.0, description="largest norm of all gradients together")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="of products in training; `auto`: bfloat16 where the device computes in it natively"
    )
    threads: int | None = Field(default=None, ge=1, description="of the framework; null: its own choice")
    seed: int = Field(default=0, ge=0, lt=2**31)
    format: Literal["text", "json"] = "text"

    @field_validator("data", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("invent")
    @classmethod
    def _some_prompts(cls, value: int, info: ValidationInfo) -> int:
        if not value and not info.data.get("data", ()):
            raise ValueError("there are no prompts: name files in data=[...], or let the model make up N with invent=N")
        return value


class TrainSpec(LearningSpec):
    """A whole configuration of training heads (`objective=heads`)."""

    objective: Literal["heads"] = "heads"
    heads: HeadOptions
    start: str | None = Field(
        default=None, description="a folder with trained heads to go on from, with their shape; null: untrained ones"
    )


class StudentOptions(BaseModel):
    """The shape of a draft model: the target's, with fewer layers, or narrower ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: int = Field(default=4, ge=1, description="decoder layers")
    hidden_size: int | None = Field(
        default=None,
        ge=1,
        description="width; null: the target's, from whose evenly spaced layers and embedding the draft model starts. "
        "Another one starts from random weights",
    )


Divergence = Literal["forward_kl", "reverse_kl", "jsd", "tvd"]


class DistillSpec(LearningSpec):
    """A whole configuration of distilling a draft model (`objective=distill_draft`)."""

    objective: Literal["distill_draft"] = "distill_draft"
    student: StudentOptions = StudentOptions()
    divergence: Divergence = Field(
        default="forward_kl",
        description="of the target's distribution and the draft model's, at each token of an answer: Kullback-Leibler "
        "forward or reverse, generalised Jensen-Shannon, or total variation distance",
    )
    beta: float | None = Field(default=None, gt=0.0, lt=1.0, description="of `jsd`: the target's weight; null: 0.5")
    fixed_data: float = Field(
        default=1.0,
        ge=0.0,
        le=1.0,
        description="share of steps on the target's answers (lambda); the others are on what the draft model itself "
        "writes then (on-policy)",
    )

    @field_validator("beta")
    @classmethod
    def _of_jsd(cls, value: float | None, info: ValidationInfo) -> float | None:
        return beta_of(value, info)


def beta_of(value: float | None, info: ValidationInfo) -> float | None:
    """The weight of `jsd`, which no other divergence has.

    Raises:
        ValueError: it is given for another one.
    """
    divergence = info.data.get("divergence")
    if value is not None and divergence != "jsd":
        raise ValueError(f"it is of divergence=jsd, and divergence is {divergence}")
    return value


class MdmSpec(LearningSpec):
    """A whole configuration of adapting a model to masked diffusion (`objective=mdm`)."""

    objective: Literal["mdm"] = "mdm"
    rank: int = Field(default=16, ge=1, description="of the adapters")
    block_length: int = Field(default=16, ge=2, le=256, description="places of a window that are foreseen together")
    anchors: int = Field(default=6, ge=1, description="windows of each answer in a step, at places drawn at random")
    noise: tuple[float, float] = Field(
        default=(0.3, 1.0), description="least and largest share of a window that is masked"
    )
    start: str | None = Field(
        default=None, description="a folder with adapters of this rank to go on from; null: adapters that do nothing"
    )

    @field_validator("noise")
    @classmethod
    def _shares(cls, value: tuple[float, float]) -> tuple[float, float]:
        return shares_of(value)


def shares_of(value: tuple[float, float]) -> tuple[float, float]:
    """The least and the largest share.

    Raises:
        ValueError: they are none, or in another order.
    """
    if not 0.0 < value[0] <= value[1] <= 1.0:
        raise ValueError(f"it is two shares above 0 and at most 1, the smaller one first, and not {list(value)}")
    return value


class SdttSpec(LearningSpec):
    """A whole configuration of teaching adapters to need fewer steps (`objective=sdtt`)."""

    objective: Literal["sdtt"] = "sdtt"
    start: str = Field(description="a folder with trained adapters: the teacher, and what the student starts as")
    steps: int = Field(default=2, ge=2, le=64, description="steps of the teacher that are one of the student's")
    grid: int = Field(default=16, ge=2, le=1024, description="steps in which the teacher would fill a whole window")
    divergence: Divergence = Field(
        default="reverse_kl", description="of the teacher's and the student's laws at each hole; see distill_draft"
    )
    beta: float | None = Field(default=None, gt=0.0, lt=1.0, description="of `jsd`: the teacher's weight; null: 0.5")
    anchors: int = Field(default=6, ge=1, description="windows of each answer in a step, at places drawn at random")

    @field_validator("grid")
    @classmethod
    def _has_steps(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("steps", 0):
            raise ValueError(f"the teacher fills a window in grid={value} steps, so steps is at most {value}")
        return value

    @field_validator("beta")
    @classmethod
    def _of_jsd(cls, value: float | None, info: ValidationInfo) -> float | None:
        return beta_of(value, info)


_ALIGNED: Final = frozenset({"ctc", "dag"})
"""Decoders with more places than tokens."""


class OneShotSpec(LearningSpec):
    """A whole configuration of training a model to write short answers in one pass (`objective=oneshot`)."""

    objective: Literal["oneshot"] = "oneshot"
    decoder: Decoder = Field(default="argmax", description="how a text is read off a pass")
    rank: int = Field(default=16, ge=1, description="of the adapters")
    places: int = Field(default=16, ge=2, le=256, description="tokens of the longest answer that is learnt from")
    upsample: int | None = Field(
        default=None,
        ge=1,
        le=16,
        description="of ctc and dag: places of the window for each token of the longest answer; null: 2 and 4",
    )
    told_lengths: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="of argmax and crf: share of windows in which end tokens stand behind the answer's places; "
        "null: 0.25",
    )
    length_weight: float | None = Field(
        default=None,
        ge=0.0,
        description="of argmax and crf: of the length head's loss, beside that of the tokens; null: 0.1",
    )
    longer: Literal["leave_out", "cut"] = Field(
        default="leave_out",
        description="what becomes of longer answers: they are not learnt from, or what a window holds of them is, as "
        "a stage with so few tokens shows it",
    )
    start: str | None = Field(
        default=None,
        description="a folder to go on from, with the same rank: adapters for canvases, or of another one-shot run",
    )
    keep_prompts: bool = Field(
        default=False,
        description="whether keys and values of prompts lie on disk until the run ends, so that each is read once and "
        "not once in each epoch",
    )

    @field_validator("places")
    @classmethod
    def _room_to_end(cls, value: int, info: ValidationInfo) -> int:
        most = info.data.get("max_tokens", value + 1)
        if most <= value:
            reason = f"answers of max_tokens={most} tokens do not show which of them end within so many places"
            raise ValueError(f"{reason}; write max_tokens={value + 1} or more")
        return value

    @field_validator("upsample", "told_lengths", "length_weight")
    @classmethod
    def _of_the_decoder(cls, value: float | None, info: ValidationInfo) -> float | None:
        decoder, aligned = info.data.get("decoder"), info.field_name == "upsample"
        if value is not None and (decoder in _ALIGNED) is not aligned:
            of = "ctc and dag" if aligned else "argmax and crf"
            raise ValueError(f"it is of the decoders {of}, and decoder is {decoder}")
        if aligned and decoder == "ctc" and value == 1:
            raise ValueError("ctc needs room for blanks between tokens that are alike; write upsample=2 or more")
        return value

    @property
    def window(self) -> int:
        """Places of the window."""
        more = {"ctc": 2, "dag": 4}.get(self.decoder, 1) if self.upsample is None else self.upsample
        # A path through a graph writes an end token, too.
        return self.places * more + (self.decoder == "dag")

    @property
    def told(self) -> float:
        """The share of windows that are told their length."""
        if self.decoder in _ALIGNED:
            return 0.0
        return 0.25 if self.told_lengths is None else self.told_lengths
