"""What is promised about a text in relation to a target model."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["exact", "distribution", "none"]
"""`exact`: equal to the target's greedy output; `distribution`: the same law as sampling the target; `none`."""

Scope = Literal["answer", "segment"]
"""Whether the promise is about the whole answer, or about each segment given its own prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """A promise about a text: its level, the model that it is about, and how much of the text it covers."""

    level: Level
    target: str | None = None
    scope: Scope = "answer"

    def meets(self, wanted: Level) -> bool:
        """Whether a recipe that demands `wanted` may have this. Demanding `none` demands nothing."""
        return wanted in ("none", self.level)

    def __str__(self) -> str:
        if self.level == "none":
            return "none"
        covers = "" if self.scope == "answer" else ", segment by segment"
        claim = "equal to greedy decoding of" if self.level == "exact" else "the same law as sampling"
        return f"{self.level}: {claim} {self.target}{covers}"


NO_GUARANTEE = Guarantee(level="none")
