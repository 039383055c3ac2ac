"""What `ptgflow train objective=levenshtein` may be told. Data only."""

from typing import Literal

from pydantic import Field, field_validator

from ptgflow.train.spec import LearningSpec, shares_of


class LevenshteinSpec(LearningSpec):
    """A whole configuration of training policies of edits (`objective=levenshtein`)."""

    objective: Literal["levenshtein"] = "levenshtein"
    adapters: str | None = Field(
        default=None, description="a folder with adapters for canvases, which are read with; null: those that ship"
    )
    start: str | None = Field(
        default=None, description="a folder with policies of this shape to go on from; null: untrained ones"
    )
    width: int = Field(default=256, ge=8, le=1024, description="hidden units of the heads")
    window: int = Field(default=40, ge=4, le=256, description="places that see each other where both sides are read")
    most: int = Field(default=8, ge=1, le=16, description="most placeholders of a gap")
    reach: int = Field(default=8, ge=1, le=64, description="how far a token can be moved")
    clean: float = Field(default=0.15, ge=0.0, lt=1.0, description="share of texts without mistakes")
    noise: tuple[float, float] = Field(
        default=(0.02, 0.25), description="least and largest number of edits for each token of the others"
    )
    plausible: float = Field(
        default=0.5, ge=0.0, le=1.0, description="share of texts whose wrong tokens the model could have written"
    )
    slips: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="share of wrong tokens that are still there where placeholders are learnt",
    )
    versions: int = Field(
        default=1,
        ge=1,
        description="kinds of mistakes that each text is seen with; each is read once, and kept on disk",
    )

    @field_validator("noise")
    @classmethod
    def _shares(cls, value: tuple[float, float]) -> tuple[float, float]:
        return shares_of(value)
