"""What editors that judge what is there can be told."""

from typing import Literal

from pydantic import Field

from ptgflow.contracts import Conflict, StageOptions


class EditOptions(StageOptions):
    """What every editor shares."""

    rounds: int = Field(default=2, ge=1, le=32, description="most rounds; an editor stops earlier at a fixed point")


class LocateReviseOptions(EditOptions):
    """When a token is unlikely, and when another one is better."""

    weak: float = Field(default=0.05, gt=0.0, lt=1.0, description="tokens of at most this probability are looked at")
    by: Literal["target", "masked"] = Field(
        default="target",
        description="who proposes tokens: the model by the text before, or with adapters for canvases by both sides",
    )
    weights: str | None = Field(
        default=None, description="a folder with adapters for canvases; null: those that ship for the model"
    )
    candidates: int = Field(default=4, ge=1, le=64, description="tokens that are tried in the place of one")
    ahead: int = Field(default=4, ge=0, le=64, description="tokens behind it whose probability counts")
    gain: float = Field(
        default=2.0,
        ge=0.0,
        description="least rise of their log-probability together, in nats; of those behind it alone, where it goes",
    )

    def conflicts(self) -> tuple[Conflict, ...]:
        found = super().conflicts()
        if self.by == "masked" or self.weights is None:
            return found
        reason = "weights are adapters for canvases, and by=target proposes without any"
        return (*found, Conflict(reason=reason, remedies=("by=masked", "weights=null")))


class TaggerOptions(EditOptions):
    """Which tagger, and how sure it must be."""

    rounds: int = Field(default=5, ge=1, le=32, description="most rounds: a word is edited once in each")
    tagger: str | None = Field(
        default=None, description="a folder with a tagger; null: the embedded one, which a package brings"
    )
    keep_bias: float = Field(default=0.0, ge=-1.0, le=1.0, description="added to the probability of keeping a word")
    delete_bias: float = Field(default=0.0, ge=-1.0, le=1.0, description="added to the probability of deleting a word")
    least_token: float = Field(default=0.9, ge=0.0, le=1.0, description="least probability of an edit")
    least_sentence: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="least probability that a sentence has an error, at its likeliest place",
    )


class ConsistencyOptions(EditOptions):
    """What is put right in a whole."""

    rounds: int = Field(default=4, ge=1, le=32, description="most rounds: what is repeated goes first, then the layout")
    similar: float | None = Field(
        default=0.9,
        ge=0.5,
        le=1.0,
        description="share of their words that two sentences have in common, from which the later one is taken out; "
        "null: none is",
    )
    layout: Literal["alike"] | None = Field(
        default="alike",
        description="numbers of items go up one by one, and items, their titles and headings are set as most are; "
        "null: they stay",
    )

    def conflicts(self) -> tuple[Conflict, ...]:
        found = super().conflicts()
        if self.similar is not None or self.layout is not None:
            return found
        reason = "with similar=null and layout=null there is nothing to do"
        return (*found, Conflict(reason=reason, remedies=("similar=0.9", "layout=alike")))
