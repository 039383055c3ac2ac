"""The algebra of kinds along a chain: what stands on each edge, and where two stages do not fit."""

from collections.abc import Sequence
from dataclasses import dataclass

from ptgflow.contracts import Canvas, Contract, Prompt, Segment, Shape, Text

STARTS: tuple[type[Segment], ...] = (Prompt, Text, Canvas)
"""What a person can give: `prompt=`, `text=`, `canvas=`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """The kinds along a chain that starts from one kind of input."""

    start: type[Segment]
    taken: tuple[type[Segment] | None, ...]
    """The kind that reaches each stage; None behind a stage that nobody declared."""
    left: tuple[type[Segment] | None, ...]
    """The kind that each stage leaves."""
    misfits: tuple[int, ...]
    """Stages that cannot take what reaches them."""

    @property
    def end(self) -> type[Segment] | None:
        """The kind of the answer."""
        return self.left[-1] if self.left else self.start

    @property
    def ok(self) -> bool:
        """Whether everything fits and the answer is complete text."""
        return not self.misfits and (self.end is None or issubclass(self.end, Text))


def walk(contracts: Sequence[Contract | None], start: type[Segment]) -> Walk:
    """Follow one kind of input through a chain of contracts (None: an undeclared stage, which fits anything).

    Lifting needs no case of its own: a lifted stage takes the kind of a single segment. Behind a misfit the walk goes
    on with what the stage would have left, so that one mistake is not reported as many.
    """
    taken: list[type[Segment] | None] = []
    left: list[type[Segment] | None] = []
    misfits: list[int] = []
    kind: type[Segment] | None = start
    for index, contract in enumerate(contracts):
        taken.append(kind)
        if contract is None:
            kind = None
        elif kind is None:
            kind = contract.leaves
        elif contract.accepts(kind):
            kind = contract.result(kind)
        else:
            misfits.append(index)
            kind = contract.leaves or (Text if contract.shape is Shape.JOIN else contract.takes[0])
        left.append(kind)
    return Walk(start=start, taken=tuple(taken), left=tuple(left), misfits=tuple(misfits))


def walks(contracts: Sequence[Contract | None]) -> tuple[Walk, ...]:
    """One walk for each kind of input."""
    return tuple(walk(contracts, start) for start in STARTS)


def best(found: Sequence[Walk]) -> Walk:
    """The walk to report on: one that works, else one whose first stage fits, else one with the fewest misfits."""
    return min(found, key=lambda one: (not one.ok, 0 in one.misfits, len(one.misfits), STARTS.index(one.start)))
