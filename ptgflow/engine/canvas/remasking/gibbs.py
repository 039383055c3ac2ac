"""Gibbs correction: a full block has its least likely tokens drawn anew, some times over."""

from dataclasses import dataclass, field
from typing import ClassVar, Self, final

from jaxtyping import Bool
from torch import Tensor

from ptgflow.engine.canvas.remasking.weakest import weakest
from ptgflow.engine.canvas.rules import Settled
from ptgflow.engine.canvas.selectors.certainty import gumbel


@final
@dataclass(slots=True, kw_only=True)
class Gibbs:
    """When no hole is left, `k` places are opened again, drawn without replacement by weights exp(-c / tau).

    c is the probability of the token now, at a place that sees all the others and not itself. Zhao et al., "Informed
    correctors", arXiv 2407.21243, section 4; survey, section 4.2.3.4. Its margin score needs the whole law of a place,
    of which a re-masker sees only the token's own probability. With a selector that fills all `k` at once this is its
    parallel ("Hogwild") sampler.

    After `rounds` such rounds in a block nothing is opened: this is the bound. With a large `tau` places are drawn
    blindly, and refilling them one by one keeps the law of an exact model; with a small one unlikely tokens are drawn
    anew more often than likely ones, which sharpens the law.
    """

    name: ClassVar[str] = "gibbs"
    doubts: ClassVar[bool] = True

    k: int = 1
    tau: float = 1.0
    rounds: int = 4
    _done: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        assert self.k >= 1, "a round opens at least one place"
        assert self.tau > 0.0, "a temperature is above 0"
        assert self.rounds >= 0, "rounds are counted"

    def opened(self) -> Self:
        return type(self)(k=self.k, tau=self.tau, rounds=self.rounds)

    def reopen(self, settled: Settled) -> Bool[Tensor, " settled"]:
        now = settled.now.double()
        if settled.holes > 0 or self._done >= self.rounds:
            return weakest(now, 0)
        self._done += 1
        # The highest of weights in logarithms plus Gumbel noise are a draw without replacement.
        return weakest(now.exp() / self.tau - gumbel(len(now), now, settled.generator), self.k)
