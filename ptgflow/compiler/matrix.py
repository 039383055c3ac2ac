"""Tables 4 and 5 of the survey, derived: which paradigms compose, and which accelerators go with which.

Nothing here or below writes a mark down. Two paradigms compose when at least one order of the two fits for some kind
of input; the reason for a "no" is what the refusing contract says of the kind that it is offered (survey, A.2.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ptgflow.compiler.typing import best, walks
from ptgflow.contracts.accelerators import ACCELERATORS, Fit
from ptgflow.contracts.contract import Shape
from ptgflow.contracts.paradigms import BRIDGES, PARADIGMS, SIX, Paradigm


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Two paradigms in one order."""

    first: Paradigm
    second: Paradigm
    fits: bool
    why: str
    """What flows between them, or why nothing can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two paradigms in both orders."""

    left: Paradigm
    right: Paradigm
    orders: tuple[Order, Order]
    """`right >> left` (in Table 4, column before row), then `left >> right`."""

    @property
    def composes(self) -> bool:
        return any(order.fits for order in self.orders)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it composes, or why it does not, in each order."""
        return tuple(order.why for order in self.orders if order.fits is self.composes)


@cache
def order(first: Paradigm, second: Paradigm) -> Order:
    """Whether `second` can follow `first` directly, for some kind of input, and why."""
    contracts = (PARADIGMS[first].contract, PARADIGMS[second].contract)
    found = best(walks(contracts))
    titles = f"{PARADIGMS[first].title} >> {PARADIGMS[second].title}"
    if found.ok:
        offered = found.left[0]
        assert offered is not None, "a declared paradigm leaves a kind"
        what = f"each segment, a {offered.__name__}," if contracts[0].shape is Shape.FORK else f"a {offered.__name__}"
        return Order(first=first, second=second, fits=True, why=f"{titles}: {what} is passed on")
    offered = found.taken[1] if 1 in found.misfits else found.left[-1]
    assert offered is not None, "a declared paradigm leaves a kind"
    return Order(first=first, second=second, fits=False, why=f"{titles}: {contracts[1].reason(offered)}")


@cache
def pair(left: Paradigm, right: Paradigm) -> Pair:
    """The two paradigms in both orders."""
    return Pair(left=left, right=right, orders=(order(right, left), order(left, right)))


def composes(left: Paradigm, right: Paradigm) -> bool:
    """Whether the two may stand on one path.

    A paradigm goes with itself, and Merge and bridges with all: Table 4 has none of these.
    """
    beyond = (Paradigm.MERGE, *BRIDGES)
    return left is right or left in beyond or right in beyond or pair(left, right).composes


def bridged(path: Sequence[Paradigm | None], first: int, second: int) -> bool:
    """Whether a bridge lies between two stages of a path, so that they need not compose.

    A stage that nobody has declared may be one.
    """
    return any(paradigm is None or paradigm in BRIDGES for paradigm in path[first + 1 : second])


def table4() -> tuple[Pair, ...]:
    """The lower triangle, row by row, in the survey's order."""
    return tuple(pair(left, right) for row, left in enumerate(SIX) for right in SIX[:row])


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorMark:
    """One cell of Table 5."""

    accelerator: str
    survey_name: str
    paradigm: Paradigm
    fit: Fit
    why: str


def table5() -> tuple[AcceleratorMark, ...]:
    """Row by row, paradigms in the order of `SIX`."""
    return tuple(
        AcceleratorMark(
            accelerator=accelerator.name,
            survey_name=accelerator.survey_name,
            paradigm=paradigm,
            fit=accelerator.fit(PARADIGMS[paradigm]),
            why=accelerator.reason(PARADIGMS[paradigm]),
        )
        for accelerator in ACCELERATORS
        for paradigm in SIX
    )
