"""What a user may set for each way to decompose; read without torch."""

from typing import Literal

from pydantic import Field

from ptgflow.contracts.method import StageOptions

RouterName = Literal["rules", "model"]


class SkeletonOptions(StageOptions):
    """Options of `decompose/skeleton`."""

    max_points: int = Field(default=6, ge=2, le=20, description="most points of the skeleton; later ones are dropped")
    min_points: int = Field(default=2, ge=1, le=20, description="with fewer points the prompt takes the plain path")
    plan_tokens: int = Field(default=72, ge=8, le=1024, description="most tokens of the skeleton")
    point_tokens: int = Field(default=96, ge=8, le=4096, description="most tokens of the text of one point")
    router: RouterName | None = Field(
        default="rules",
        description="who decides whether a prompt is split: rules about its wording, the model, or (null) nobody",
    )

    def conflicts(self) -> tuple[str, ...]:
        if self.min_points > self.max_points:
            return (f"min_points={self.min_points} is above max_points={self.max_points}, so no skeleton could pass",)
        return ()


class SchemaOptions(StageOptions):
    """Options of `decompose/schema`."""

    max_items: int = Field(default=20, ge=2, le=100, description="a prompt that lists more takes the plain path")
    item_tokens: int = Field(default=96, ge=4, le=4096, description="most tokens of the text of one item")


class PassagesOptions(StageOptions):
    """Options of `decompose/passages`."""

    passage_tokens: int = Field(default=128, ge=8, le=8192, description="most tokens of one passage")


