"""What a head is, and which model it belongs to: the `config.json` beside its weights."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Kind = Literal["medusa", "hydra", "blockwise", "gated_lora", "eagle", "masked", "oneshot", "levenshtein"]
Decoder = Literal["argmax", "ctc", "dag", "crf"]
"""How a text is read off one pass."""


class Base(BaseModel):
    """The model that a head was trained for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    tokenizer: str = Field(description="fingerprint of its tokenizer")
    parameters: int = Field(ge=1)
    hidden_size: int = Field(ge=1)
    vocab_size: int = Field(ge=1)
    layers: int = Field(ge=1)


class HeadConfig(BaseModel):
    """One set of heads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    base: Base
    draft_vocab_size: int = Field(ge=1, description="tokens that can be drafted; the base's own size: all")
    heads: int = Field(default=1, ge=1, le=16, description="positions ahead, each with weights of its own")
    layers: int = Field(default=1, ge=1, description="blocks of each head")
    taps: tuple[int, ...] = Field(description="hidden states of the base that are read; see `ModelPass.tapped`")
    own_output: bool = Field(
        default=True, validate_default=True, description="whether logits come from weights of its own"
    )
    num_attention_heads: int | None = None
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    intermediate_size: int | None = None
    rank: int | None = Field(default=None, ge=1, description="of the adapters of gated_lora, masked and oneshot")
    block_length: int | None = Field(
        default=None,
        ge=2,
        description="of masked and oneshot: places foreseen at a time in training; of levenshtein: read at a time",
    )
    decoder: Decoder | None = Field(default=None, description="of oneshot: what is made of what a pass says")
    width: int | None = Field(default=None, ge=1, description="of levenshtein: hidden units")
    most: int | None = Field(default=None, ge=1, description="of levenshtein: most placeholders of a gap")
    reach: int | None = Field(default=None, ge=1, description="of levenshtein: how far a token can be moved")
    adapters: str | None = Field(default=None, description="of levenshtein: SHA-256 of the adapters that it reads with")
    rms_norm_eps: float = 1e-5
    rope_parameters: dict[str, Any] | None = None
    max_position_embeddings: int | None = None

    @field_validator("own_output")
    @classmethod
    def _shared_output(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("kind") in ("blockwise", "gated_lora", "masked", "oneshot", "levenshtein"):
            raise ValueError(f"{info.data['kind']} heads share the target's output matrix; it must be false")
        return value

    @property
    def is_reduced(self) -> bool:
        """Whether some tokens cannot be drafted."""
        return self.draft_vocab_size < self.base.vocab_size
