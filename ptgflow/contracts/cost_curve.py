"""What a pass of a model costs on one device: measured points, and the time they predict for any pass.

The time of a pass over `rows` rows with `tokens` tokens in all, each row with `context` slots of keys and values, is

    f(tokens) + r * (rows - 1) + a * rows * context + b * tokens * context

f: linear layers and the overhead of a pass, piecewise linear and nowhere falling; r: what a row costs by itself; a:
reading its keys and values; b: the scores of each token against them. All are fitted at once and none is negative, so
noise in the points cannot make a larger pass the cheaper one.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

_TIE: Final = 1e-9
"""Added to the diagonal of the normal equations, whose columns have length 1: where the points cannot tell two terms
apart, these share what there is to explain."""
_OPTIMAL: Final = 1e-12
"""Gradients below this count as zero."""
_MOVES: Final = 10
"""Most moves for each column. A few suffice; rounding could let a column come and go for ever at no gain."""


class CurveKey(BaseModel):
    """What a curve is true of. If any of this changes, times have to be measured anew."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: str = Field(description="name of the processor or GPU")
    threads: int = Field(ge=1, description="threads of one operator")
    dtype: str = Field(description="precision of weights and activations")
    forward: str = Field(description="which implementation of the pass")
    model: str = Field(description="the card's name")
    fingerprint: str = Field(description="of the model's shape and weights")
    ptgflow: str = Field(description="version")
    torch: str = Field(description="version")


class CostPoint(BaseModel):
    """The measured time of one shape of pass."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(ge=1)
    width: int = Field(ge=1, description="new tokens of each row")
    context: int = Field(ge=0, description="slots of keys and values that each row had before")
    seconds: float = Field(gt=0, allow_inf_nan=False, description="median of the repetitions")
    repeats: int = Field(ge=1)

    @property
    def tokens(self) -> int:
        """New tokens of all rows."""
        return self.rows * self.width


class CostCurve(BaseModel):
    """Measured times of passes, and the law through them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: CurveKey
    points: tuple[CostPoint, ...] = Field(min_length=1)
    _law: "_Law" = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Fit the law, which follows from the points and so is not stored."""
        self._law = _fitted(self.points)

    def seconds(self, *, rows: int, tokens: int, context: int) -> float:
        """Predicted time of one pass; no argument lowers it by growing.

        Args:
            rows: at least 1.
            tokens: new tokens of all rows together.
            context: slots of keys and values that are read for each row; where rows differ, the most.
        """
        return self.of_tokens(rows=rows, context=context)(tokens)

    def of_tokens(self, *, rows: int, context: int) -> Callable[[int], float]:
        """The same time as a function of the number of tokens, for who asks for many."""
        law = self._law
        fixed = law.row * (rows - 1) + law.row_slot * rows * context
        each = law.token_slot * context
        least, knots, values, slopes = law.least, law.knots, law.values, law.slopes

        def seconds(tokens: int) -> float:
            at = bisect_right(knots, tokens) - 1 if tokens > knots[0] else 0
            return max(fixed + each * tokens + values[at] + slopes[at] * max(tokens - knots[at], 0), least)

        return seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Law:
    """The formula of this module with its numbers, in seconds."""

    knots: tuple[int, ...]
    """Numbers of tokens at which f is known, ascending."""
    values: tuple[float, ...]
    """f at the knots."""
    slopes: tuple[float, ...]
    """Of f behind each knot, a token."""
    row: float
    row_slot: float
    token_slot: float
    least: float
    """Of the measured times: what is smaller than anything measured is not taken to be faster."""


def _fitted(points: Sequence[CostPoint]) -> _Law:
    """The law with the least sum of squared relative errors.

    f is a sum of steps, one at each knot and none of them down, so that one problem of non-negative least squares holds
    the isotonic fit of f and the other terms.
    """
    knots = tuple(sorted({point.tokens for point in points}))
    # Points at one context cannot tell what a row costs by itself from what its context costs.
    contexts = len({point.context for point in points}) > 1
    columns = [[float(point.tokens >= knot) for point in points] for knot in knots]
    columns.append([point.rows - 1.0 for point in points])
    columns.append([float(point.rows * point.context * contexts) for point in points])
    columns.append([float(point.tokens * point.context * contexts) for point in points])
    relative = [[value / point.seconds for value, point in zip(column, points, strict=True)] for column in columns]
    *steps, row, row_slot, token_slot = _non_negative_least_squares(relative, [1.0] * len(points))
    values = tuple(sum(steps[: at + 1]) for at in range(len(knots)))
    return _Law(
        knots=knots,
        values=values,
        slopes=_slopes(knots, values),
        row=row,
        row_slot=row_slot,
        token_slot=token_slot,
        least=min(point.seconds for point in points),
    )


def _slopes(knots: Sequence[int], values: Sequence[float]) -> tuple[float, ...]:
    """Slopes between knots, and behind the last one the steepest that leads to it.

    Behind the last knot a device that was not full yet may fill, so the last piece alone, which noise may have made
    flat, would promise too much. After a single knot a token costs what it cost there.
    """
    inner = [(values[at + 1] - values[at]) / (knots[at + 1] - knots[at]) for at in range(len(knots) - 1)]
    chords = [(values[-1] - value) / (knots[-1] - knot) for knot, value in zip(knots[:-1], values[:-1], strict=True)]
    return (*inner, max(chords) if chords else values[0] / knots[0])


def _non_negative_least_squares(columns: Sequence[Sequence[float]], wanted: Sequence[float]) -> list[float]:
    """Weights, none negative, with which the columns come nearest to what is wanted.

    The active-set method of Lawson and Hanson, "Solving Least Squares Problems" (1974), chapter 23, on the normal
    equations of the columns scaled to length 1.
    """
    norms = [_dot(column, column) ** 0.5 or 1.0 for column in columns]
    unit = [[value / norm for value in column] for column, norm in zip(columns, norms, strict=True)]
    gram = [[_dot(left, right) + _TIE * (left is right) for right in unit] for left in unit]
    aims = [_dot(column, wanted) for column in unit]
    weights = [0.0] * len(unit)
    used: list[int] = []
    for _ in range(_MOVES * len(unit)):
        gains = [aim - _dot(line, weights) for aim, line in zip(aims, gram, strict=True)]
        best = max(range(len(unit)), key=lambda at: -1.0 if at in used else gains[at])
        if best in used or gains[best] <= _OPTIMAL:
            break
        used.append(best)
        _descend(gram, aims, weights, used)
    return [weight / norm for weight, norm in zip(weights, norms, strict=True)]


def _descend(gram: Sequence[Sequence[float]], aims: Sequence[float], weights: list[float], used: list[int]) -> None:
    """Move to the optimum over the used columns, dropping on the way each whose weight would fall below zero."""
    while used:
        free = _solved([[gram[row][column] for column in used] for row in used], [aims[row] for row in used])
        falling = [(weights[at] / (weights[at] - new), at) for at, new in zip(used, free, strict=True) if new <= 0]
        step, blocked = min(falling, default=(1.0, -1))
        for at, new in zip(used, free, strict=True):
            weights[at] += step * (new - weights[at])
        if blocked < 0:
            return
        weights[blocked] = 0.0
        used.remove(blocked)


def _solved(matrix: Sequence[Sequence[float]], aims: Sequence[float]) -> list[float]:
    """The solution of a symmetric positive definite system, by elimination."""
    lines = [[*line, aim] for line, aim in zip(matrix, aims, strict=True)]
    size = len(lines)
    for at in range(size):
        for below in range(at + 1, size):
            factor = lines[below][at] / lines[at][at]
            for column in range(at, size + 1):
                lines[below][column] -= factor * lines[at][column]
    found = [0.0] * size
    for at in reversed(range(size)):
        found[at] = (lines[at][size] - _dot(lines[at][at + 1 : size], found[at + 1 :])) / lines[at][at]
    return found


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(map(float.__mul__, left, right))
