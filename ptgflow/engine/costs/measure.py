"""Times passes of many shapes, in turn and several times over: what slows the machine for a while slows them all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from ptgflow.contracts.cost_curve import CostPoint
from ptgflow.engine.models.progress import Progress

NEAR: Final = 256
FAR: Final = 1024
"""Slots of context: of a short chat, and enough more for what attention adds to stand out."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A pass: so many rows, each with so many new tokens behind so many slots of context."""

    rows: int
    width: int
    context: int


QUICK: Final = (
    *(Shape(1, width, NEAR) for width in (1, 2, 4, 8, 16)),
    *(Shape(rows, width, NEAR) for rows, width in ((4, 1), (8, 1), (8, 4))),
    *(Shape(rows, width, FAR) for rows, width in ((1, 8), (8, 1))),
)
"""For the first run on a device: 10 shapes, at three repetitions 40 passes, which take 2 to 3 seconds where a pass over
one token takes 30 ms. Both shapes of 8 tokens, near and far, tell apart what rows, tokens and context cost."""

FULL: Final = (
    *(Shape(1, width, NEAR) for width in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)),
    *(Shape(rows, width, NEAR) for rows in (2, 4, 8) for width in (1, 2, 4, 8, 16)),
    *(Shape(16, width, NEAR) for width in (1, 2, 4, 8)),
    *(Shape(rows, width, FAR) for rows, width in ((1, 1), (1, 8), (1, 16), (4, 1), (4, 4), (8, 1), (8, 4))),
)
"""For `ptgflow calibrate`: 37 shapes of up to 128 tokens."""


def fitting(grid: Sequence[Shape], *, context_length: int) -> tuple[Shape, ...]:
    """The grid for a model that reads at most so many tokens: longer contexts are cut, and equal shapes merge.

    A model whose context is too short even for the width of a shape does without that shape.
    """
    cut = (Shape(one.rows, one.width, min(one.context, context_length - one.width)) for one in grid)
    return tuple(dict.fromkeys(one for one in cut if one.context >= 1))


def measure(
    run_pass: Callable[[int, int, int], float], grid: Sequence[Shape], repeats: int, tell: Progress
) -> tuple[CostPoint, ...]:
    """Time every shape of a grid; nothing is kept of a measurement that is interrupted.

    Args:
        run_pass: runs a pass of rows, width and context, and says how many seconds it took.
        grid: the shapes.
        repeats: how often each is timed; its time is the median. One pass before is not counted: kernels are chosen and
            memory is taken in it.
        tell: is told once. It does not count passes, because drawing on a terminal would be timed with them.
    """
    assert repeats >= 1, "something is measured"
    tell("measuring what a pass costs")
    times: dict[Shape, list[float]] = {shape: [] for shape in grid}
    for number in range(repeats + 1):
        for shape, found in times.items():
            seconds = run_pass(shape.rows, shape.width, shape.context)
            if number:
                found.append(seconds)
    return tuple(
        CostPoint(rows=shape.rows, width=shape.width, context=shape.context, seconds=median(found), repeats=len(found))
        for shape, found in times.items()
    )
