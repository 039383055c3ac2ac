"""How to generate: the options of a run that every stage shares."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _not_empty(strings: tuple[str, ...]) -> tuple[str, ...]:
    if not all(strings):
        raise ValueError("a stop string has at least one character")
    return strings


StopStrings = Annotated[tuple[str, ...], AfterValidator(_not_empty)]
"""Strings that end a text. An empty one would end every text before it began."""


class Sampling(BaseModel):
    """How the next token is drawn. Temperature 0 is greedy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(default=0.0, ge=0.0, le=100.0, description="0 is greedy")
    top_p: float = Field(default=1.0, gt=0.0, le=1.0, description="keep the smallest set with this much probability")
    top_k: int | None = Field(default=None, ge=1, description="keep the k likeliest tokens; null: all")
    min_p: float = Field(default=0.0, ge=0.0, le=1.0, description="drop tokens below this share of the likeliest one")
    repetition_penalty: float = Field(
        default=1.0, gt=0.0, le=100.0, description="divides positive and multiplies negative logits of tokens seen"
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="the same seed gives the same text")


class Generation(BaseModel):
    """Everything about a run that is not the recipe's flow."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sampling: Sampling = Sampling()
    max_tokens: int = Field(default=512, ge=1, description="most tokens of the whole answer")
    stop: StopStrings = Field(default=(), description="strings that end the text; not part of it")

    chat: bool = Field(default=True, description="use the model's chat template")
