"""SlowFast: look for a span that can be filled fast, then fill it."""

import statistics
from dataclasses import dataclass, field
from typing import ClassVar, Self, final

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from ptgflow.engine.canvas.rules import Sight
from ptgflow.engine.canvas.selectors.certainty import confidence, surest


@final
@dataclass(slots=True, kw_only=True)
class SlowFast:
    """Slow rounds until the end of a span is stable, then fast ones until the span is full, and so on behind it.

    Wei et al., "SlowFast", arXiv 2506.10848, with the parameters of its published code. A slow round looks at all holes
    behind the last span. It guesses that the span ends behind the farthest of them whose confidence is at least `reach`
    (one place on, if there is none). The span is found when the last `window` guesses have a standard deviation below
    `spread`: it ends at the last guess; after `explore` slow rounds it ends at the mean of those guesses. A fast round
    looks at the holes of the span. Both kinds fill, of what they look at, all holes of which the confidence is at least
    `high`, if there are two such holes or more, and otherwise the surest.

    The published code goes on slowly for all `explore` rounds, though its guess stands; here, as in the paper, fast
    rounds begin with the round after the guess.

    With `high` 1 a round fills one hole, and any others whose token is certain: the text then has the model's law.
    """

    name: ClassVar[str] = "slow_fast"
    lawful: ClassVar[bool] = True

    explore: int = 6
    reach: float = 0.3
    window: int = 2
    spread: float = 1.0
    high: float = 0.9
    _start: int | None = field(default=None, init=False, repr=False, compare=False)
    """Where the span begins, a place in the canvas."""
    _end: int | None = field(default=None, init=False, repr=False, compare=False)
    """Behind the span; None while it is looked for."""
    _guesses: list[int] = field(default_factory=list[int], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        assert self.explore >= self.window >= 1, "the guesses of a window are made in the slow rounds"
        assert 0.0 <= self.reach <= 1.0, "reach is a probability"
        assert 0.0 < self.high <= 1.0, "high is a probability above 0"
        assert self.spread > 0.0, "a spread is above 0"

    def opened(self) -> Self:
        return type(self)(
            explore=self.explore, reach=self.reach, window=self.window, spread=self.spread, high=self.high
        )

    def select(self, sight: Sight) -> Bool[Tensor, " holes"]:
        sure = confidence(sight.law)
        inside = self._looked_at(sight)
        if self._end is None:
            self._guess(sight, sure, inside)
        sure = sure.masked_fill(~inside, -1.0)
        high = sure >= self.high
        return high if int(high.sum()) > 1 else surest(sure, 1)

    def _looked_at(self, sight: Sight) -> Bool[Tensor, " holes"]:
        """The holes of the span, or all behind the last span; at least one."""
        if self._start is None:
            self._start = sight.block.start
        if self._end is not None:
            inside = (sight.positions >= self._start) & (sight.positions < self._end)
            if inside.any():
                return inside
            self._restart(self._end)
        behind = sight.positions >= self._start
        if behind.any():
            return behind
        # What lies before was opened again.
        self._restart(sight.block.start)
        return torch.ones_like(behind)

    def _restart(self, start: int) -> None:
        self._start, self._end = start, None
        self._guesses.clear()

    def _guess(self, sight: Sight, sure: Float64[Tensor, " holes"], inside: Bool[Tensor, " holes"]) -> None:
        """One more guess at where the span ends; the end, if that settles it."""
        assert self._start is not None, "the span has a beginning"
        far = sight.positions[inside & (sure >= self.reach)]
        self._guesses.append(min(int(far[-1]) + 1 if len(far) else self._start + 1, sight.block.stop))
        last = self._guesses[-self.window :]
        if len(last) == self.window and statistics.pstdev(last) < self.spread:
            self._end = last[-1]
        elif len(self._guesses) >= self.explore:
            self._end = max(int(statistics.mean(last)), self._start + 1)
