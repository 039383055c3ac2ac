"""What a decoder reads off one pass."""

from dataclasses import dataclass
from itertools import groupby
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Written:
    """A text, and what the decoder knows of its likelihood."""

    tokens: tuple[int, ...]
    score: float
    """In nats; each decoder says of what. Not divided by the length."""
    places: tuple[float, ...] = ()
    """For each token how likely its own place finds it, in nats; empty where it stands in no one place."""


def without_repeats(tokens: tuple[int, ...]) -> tuple[int, ...]:
    """One token for each run of the same token: what neighbours that see each other too late say twice."""
    return tuple(token for token, _ in groupby(tokens))
