"""How the tokens of an answer are shared among the segments that are written side by side."""

from collections.abc import Sequence
from typing import Final

from ptgflow.stages.base import StageContext

LEAST_SHARE: Final = 8
"""A segment with fewer tokens could not hold a sentence."""


def shares(context: StageContext, leads: Sequence[str]) -> tuple[int, ...] | None:
    """Equal shares of the stage's budget after the tokens of the leads; None when they would be too small to use."""
    spent = sum(len(context.model.codec.encode(lead)) for lead in leads)
    share = (context.budget - spent) // len(leads)
    return (share,) * len(leads) if share >= LEAST_SHARE else None
