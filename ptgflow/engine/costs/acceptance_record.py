"""What has been learnt of a drafter: how often a node of each grade is kept once its parent has been.

Counts of trials and successes fade exponentially, and the estimate is the mean of a beta distribution over them. Before
any trial it is that of Jeffreys' prior, Beta(1/2, 1/2): even odds with the weight of a single trial, so that a draft is
tried and its fate says much (H. Jeffreys, "An invariant form for the prior probability in estimation problems", 1946).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from ptgflow.engine.trees import TokenTree

EVEN: Final = 0.5
"""Chance before any trial. It gets a draft tried where a second token costs less than 45 % of the first. Where it costs
more, none is tried, though some are nearly always right: with more optimism, those that are not would cost too much."""

MEMORY: Final = 24
"""Trials of a grade in which older ones fade to 1/e. A text that stops being copyable costs about so many drafts, and
the standard error of a rate stays below 0.08."""

DOUBT: Final = 8.0
"""Trials by which even odds outweigh what is known of other grades where that is bad: a grade that was never met is not
written off for a few failures of others. Where it is good, it is believed at once."""

INHERITED: Final = 8.0
"""Most trials of a grade that a new row takes over: enough not to repeat what other rows have found out, and a third of
what the row soon knows of itself."""

DRIFT: Final = 1.015
"""By what factor the weight of prior and evidence shrinks in a round that taught nothing; evidence alone pays for it.

So a rate p that failures have pushed below what pays rises by about 1.5 % a round, until a draft is tried again, and if
that fails, p is divided by about 1 + 2 p: tries are log(1 + 2 p) / 0.015 rounds apart. Where p just pays, one costs
less than p of a pass, so that all tries together cost about 1 % of the time, whatever the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """Fading counts."""

    kept: float = 0.0
    reached: float = 0.0
    """Nodes that were judged: their parent was kept."""

    def rate(self, prior: float, weight: float = 1.0) -> float:
        """The estimate, when before it stood a prior of the weight of so many trials."""
        return (prior * weight + self.kept) / (weight + self.reached)

    def worth(self, reached: float) -> "_Evidence":
        """The same share of successes in so many trials."""
        return _Evidence(kept=self.kept * reached / self.reached, reached=reached) if self.reached else self


_NONE: Final = _Evidence()


@final
class AcceptanceRecord:
    """The record of one row; or that of all rows of a loop, which is the parent of theirs.

    Grades are classes of nodes that the drafter tells apart; of which kind is the drafter's affair.
    """

    def __init__(self, parent: "AcceptanceRecord | None" = None) -> None:
        """Start with nothing, or with some of what the parent knows. The parent learns all that this record learns."""
        self._parent = parent
        known = {} if parent is None else parent._known
        self._known: dict[int, _Evidence] = {
            grade: one.worth(min(one.reached, INHERITED)) for grade, one in known.items()
        }

    def rate(self, grade: int) -> float:
        """Probability that a node of this grade is kept if its parent is."""
        return self._known.get(grade, _NONE).rate(self._prior())

    @property
    def best_rate(self) -> float:
        """The rate of the best grade that was met; even odds before any was."""
        prior = self._prior()
        return max((one.rate(prior) for one in self._known.values()), default=prior)

    def survival(self, tree: TokenTree, grades: Sequence[int] = ()) -> list[float]:
        """Probability of each node that it is kept, with all nodes above it.

        Of siblings at most one is kept, so rates that sum to more than 1 are scaled down to that sum.

        Args:
            tree: what is proposed.
            grades: of each node; empty: all are of grade 0.
        """
        prior = self._prior()
        known = {grade: self._known.get(grade, _NONE).rate(prior) for grade in {0, *grades}}
        rates = [known[grade] for grade in grades or [0] * len(tree)]
        sums = [0.0] * (len(tree) + 1)
        for parent, rate in zip(tree.parents, rates, strict=True):
            sums[parent + 1] += rate
        found: list[float] = []
        for parent, rate in zip(tree.parents, rates, strict=True):
            found.append((found[parent] if parent >= 0 else 1.0) * rate / max(sums[parent + 1], 1.0))
        return found

    def observe(self, tree: TokenTree, grades: Sequence[int], path: Sequence[int]) -> None:
        """Learn from a pass.

        Args:
            tree: what was verified.
            grades: of each of its nodes; empty: all are of grade 0.
            path: the nodes that were kept, from the text downwards. The children of the text and of each of them were
                judged, and all that are not on the path failed. Nodes below a failure were not judged.
        """
        kept = {-1, *path}
        trials: dict[int, list[bool]] = {}
        for node, parent in enumerate(tree.parents):
            if parent in kept:
                trials.setdefault(grades[node] if grades else 0, []).append(node in kept)
        self._learn(trials)

    def idle(self) -> None:
        """Let a round pass in which no draft of the row was verified."""
        self._learn({})

    def _prior(self) -> float:
        """The rate of a grade of which nothing is known: that of all grades together."""
        known = self._known.values()
        whole = _Evidence(
            kept=sum((one.kept for one in known), start=0.0), reached=sum((one.reached for one in known), start=0.0)
        )
        return whole.rate(EVEN, DOUBT if whole.kept < EVEN * whole.reached else 1.0)

    def _learn(self, trials: Mapping[int, Sequence[bool]]) -> None:
        # Grades that were not met are forgotten a little, so that they are tried again one day. They share one drift,
        # so that the tries of all of them cost no more than those of a single one.
        unmet = [grade for grade, one in self._known.items() if grade not in trials and one.reached]
        for grade in unmet:
            one = self._known[grade]
            self._known[grade] = one.worth(max((1 + one.reached) / DRIFT ** (1 / len(unmet)) - 1, 0.0))
        for grade, hits in trials.items():
            one = self._known.get(grade, _NONE)
            # All trials of a pass fade what was before, and not each other: a draft ends with its one failure, which
            # would otherwise always be the freshest.
            fade = (1 - 1 / MEMORY) ** len(hits)
            self._known[grade] = _Evidence(kept=one.kept * fade + sum(hits), reached=one.reached * fade + len(hits))
        if self._parent is not None:
            self._parent._learn(trials)
