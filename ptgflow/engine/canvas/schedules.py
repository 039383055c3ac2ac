"""Schedules: which share of a block is still masked after some of its rounds."""

import math
from typing import Final, Literal

Schedule = Literal["linear", "cosine"]

_ROUNDING: Final = 1e-9
"""A count below a whole number by less than this is that number: cos(pi / 3) is 0.5000000000000001."""


def masked_share(schedule: Schedule, done: int, steps: int) -> float:
    """Share of the places that are masked after `done` of `steps` rounds: 1 before the first, 0 after the last.

    Linear: 1 - r, for the r-th part of the rounds. Cosine: cos(pi r / 2), which reveals little at first (Chang et al.,
    "MaskGIT", arXiv 2202.04200, section 3.2).
    """
    if done >= steps:
        return 0.0
    return (steps - done) / steps if schedule == "linear" else math.cos(math.pi / 2 * done / steps)


def masked_count(schedule: Schedule, places: int, done: int, steps: int) -> int:
    """How many of some places are masked after `done` of `steps` rounds, rounded down."""
    if done >= steps:
        return 0
    if schedule == "linear":  # In whole numbers, as 100 * (29 / 100) is less than 29.
        return places * (steps - done) // steps
    return math.floor(places * masked_share(schedule, done, steps) + _ROUNDING)
