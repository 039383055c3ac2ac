"""MaskGIT: a schedule says how many holes a round fills, and noise that dies away mixes which."""

from dataclasses import dataclass, field
from typing import ClassVar, Self, final

from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.rules import Sight
from ptgflow.engine.canvas.schedules import Schedule, masked_count
from ptgflow.engine.canvas.selectors.certainty import confidence, gumbel, surest


@final
@dataclass(slots=True, kw_only=True)
class MaskGit:
    """After the r-th part of the steps a share cos(pi r / 2) of the block, or 1 - r, is masked, rounded down.

    Filled are the holes with the highest log-confidence plus Gumbel noise times `temperature` (1 - r), r after the
    round. Chang et al., "MaskGIT", arXiv 2202.04200, section 3.2; the noise is that of its published code, where the
    default is 4.5 for pictures and the confidence is that of the drawn token. Here it is that of the likeliest one, by
    which, with as many linear steps as there are holes, one token a round, the text has the model's law.

    A round fills at least one hole, and one after the last step all that there are.
    """

    name: ClassVar[str] = "maskgit"
    lawful: ClassVar[bool] = True

    steps: int = 8
    schedule: Schedule = "cosine"
    temperature: float = 0.0
    _holes: int | None = field(default=None, init=False, repr=False, compare=False)
    """Of the block in its first round."""

    def __post_init__(self) -> None:
        assert self.steps >= 1, "there is at least one step"
        assert self.temperature >= 0.0, "a temperature is not below 0"

    def opened(self) -> Self:
        return type(self)(steps=self.steps, schedule=self.schedule, temperature=self.temperature)

    def select(self, sight: Sight) -> Bool[Tensor, " holes"]:
        holes, done = len(sight.positions), sight.round + 1
        self._holes = holes if self._holes is None else self._holes
        scores = confidence(sight.law).log()
        heat = self.temperature * max(1.0 - done / self.steps, 0.0)
        if heat > 0.0:
            scores = scores + heat * gumbel(holes, sight.law, sight.generator)
        return surest(scores, max(holes - masked_count(self.schedule, self._holes, done, self.steps), 1))
