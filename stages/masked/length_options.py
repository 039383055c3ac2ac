"""Options of how long a text gets. No torch."""

from typing import Literal

from pydantic import Field

from ptgflow.contracts import StageOptions

Length = Literal["first_end", "until_end", "fixed"]


class LengthOptions(StageOptions):
    """How many positions a canvas behind a prompt gets, and when its text ends."""

    places: int | None = Field(
        default=None, ge=1, description="positions of the canvas behind a prompt, at most max_tokens; null: as many"
    )
    length: Length = Field(
        default="first_end",
        description="when the text behind a prompt ends. `first_end`: as soon as all before an end token is written; "
        "`until_end`: when all later positions of its block say so, too, and an end token that they dispute is left "
        "out; `fixed`: the whole canvas is filled, and then cut at the first end token",
    )
