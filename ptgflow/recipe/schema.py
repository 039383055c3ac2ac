"""What a composed configuration may hold. Data only; an unknown key or a value out of range is an error."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ptgflow.contracts import Level, Message, ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.contracts.settings import MOST_LOGPROBS, Generation, LogitBias, Sampling, StopStrings


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CompileOptions(_Frozen):
    """How strictly a flow is checked."""

    pairs: Literal["path", "adjacent"] = Field(
        default="path", description="`path`: every two stages must compose; `adjacent`: neighbours only"
    )


class ExecutorOptions(_Frozen):
    """Who runs a program (`executor=NAME`)."""

    name: Literal["local"] = Field(default="local", description="`local`: in this process")
    batch_size: int = Field(default=16, ge=1, le=1024, description="most rows in one pass")
    threads: int | None = Field(default=None, ge=1, description="of the framework; null: its own choice")
    kv_memory_mb: int | None = Field(
        default=None, ge=1, description="most memory for keys and values; null: most of what is free"
    )


class DataOptions(_Frozen):
    """A named set of prompts (`data=NAME`)."""

    name: str = "none"
    path: str | None = Field(default=None, description="a JSON Lines file; `pkg://` is below the shipped recipes")


class ChatMessage(_Frozen):
    """One turn of `messages`."""

    role: str
    content: str


class RecipeSpec(_Frozen):
    """A whole configuration: the recipe, the model, the executor, and what to work on."""

    description: str = ""
    flow: str | None = None
    stages: dict[str, dict[str, Any]] = Field(default_factory=dict)
    guarantee: Level = "none"
    compile: CompileOptions = CompileOptions()
    model: ModelCard
    executor: ExecutorOptions = ExecutorOptions()
    accelerate: Accelerate = Accelerate()
    data: DataOptions = DataOptions()

    prompt: str | None = None
    messages: tuple[ChatMessage, ...] | None = None
    text: str | None = None
    canvas: str | None = None
    input: str | None = None
    output: str | None = None
    trace: str | None = None
    report: Literal["auto", "always", "never"] = "auto"
    show: Literal["edits"] | None = None

    temperature: float = Field(default=0.0, ge=0.0, le=100.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int | None = Field(default=None, ge=1)
    min_p: float = Field(default=0.0, ge=0.0, le=1.0)
    repetition_penalty: float = Field(default=1.0, gt=0.0, le=100.0)
    presence_penalty: float = Field(default=0.0, ge=-100.0, le=100.0)
    logit_bias: LogitBias | None = None
    logprobs: int | None = Field(default=None, ge=0, le=MOST_LOGPROBS)
    seed: int = Field(default=0, ge=0, lt=2**63)
    max_tokens: int = Field(default=512, ge=1)
    stop: StopStrings = ()
    chat: bool = True

    format: Literal["text", "json", "mermaid", "svg"] = "text"

    @field_validator("prompt", "text", "canvas", "input", "output", "trace", "flow", "description", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        """`prompt=42` reaches us as a number; the person wrote a word."""
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @property
    def generation(self) -> Generation:
        """The options that stages share."""
        sampling = Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
            logit_bias=self.logit_bias or (),
            logprobs=self.logprobs,
            seed=self.seed,
        )
        return Generation(sampling=sampling, max_tokens=self.max_tokens, stop=self.stop, chat=self.chat)

    @property
    def conversation(self) -> tuple[Message, ...] | None:
        """`messages` as the engine knows them."""
        if self.messages is None:
            return None
        return tuple(Message(role=turn.role, content=turn.content) for turn in self.messages)
