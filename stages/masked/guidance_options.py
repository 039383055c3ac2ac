"""Options of what else has a say about what a masked model predicts. No torch."""

from collections.abc import Iterator
from typing import ClassVar, Final, Literal

from pydantic import Field

from ptgflow.contracts import Conflict, StageOptions

Guidance = Literal["none", "cfg", "agreement", "apd"]

BY_A_GUIDE: Final[tuple[Guidance, ...]] = ("agreement", "apd")
"""Those that ask an autoregressive model."""
GUIDANCE_PARAMETERS: Final[dict[str, tuple[Guidance, ...]]] = {
    "guidance_scale": ("cfg",),
    "guidance_ratio": ("apd",),
    "guide": BY_A_GUIDE,
}
"""Option -> the guidance that it is for."""


class GuidanceOptions(StageOptions):
    """Guidance, and the parameters of each kind."""

    second_model: ClassVar[str] = "guide"

    guidance: Guidance = Field(
        default="none",
        description="what else has a say: `cfg`: the model itself without the prompt, from which it is moved away; an "
        "autoregressive model that reads what would be written, and confirms it from the left up to the first token "
        "that it would not have written (`agreement`), or that the product of both models' laws would not (`apd`)",
    )
    guidance_scale: float | None = Field(
        default=None, gt=0.0, le=100.0, description="of `cfg`: how far; null: 1, as far again"
    )
    guidance_ratio: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="of `apd`: weight of the masked model, the guide has the rest; null: 0.7",
    )
    guide: str | None = Field(
        default=None,
        description="of `agreement` and `apd`: card of the autoregressive model, or a folder with a checkpoint; null: "
        "the model that the masked one was adapted from",
    )

    def draft_model(self) -> str | None:
        return self.guide if self.guidance in BY_A_GUIDE else None

    def conflicts(self) -> tuple[Conflict, ...]:
        return (*super().conflicts(), *self._of_other_guidance())

    def _of_other_guidance(self) -> Iterator[Conflict]:
        for option, kinds in GUIDANCE_PARAMETERS.items():
            if getattr(self, option) is not None and self.guidance not in kinds:
                reason = f"{option} is of guidance={' or '.join(kinds)}, and guidance is {self.guidance}"
                yield Conflict(reason=reason, remedies=(f"{option}=null", *(f"guidance={kind}" for kind in kinds)))
