"""How many proposals are verified in a pass: as many as make the most expected tokens a second.

The objective is Equation 6 of the survey (`E[A / (L(Mp) + L(Mq))]`), with the proposals already made: accepted tokens
over the time of the target's pass. Times come from a measured `CostCurve`, chances from an `AcceptanceRecord`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, final, runtime_checkable

from ptgflow.contracts.cost_curve import CostCurve
from ptgflow.engine.costs.acceptance_record import AcceptanceRecord
from ptgflow.engine.costs.drafting import Gain
from ptgflow.engine.trees import TokenTree

MARGIN: Final = 0.03
"""By how much a draft must promise to beat plain decoding. Measured times are this uncertain, and a curve that is flat
only by chance would otherwise let drafts through that never pay."""

LONGEST: Final = 64
"""Most tokens that a drafter is ever asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one row of a pass could have verified."""

    tree: TokenTree
    """May be empty."""
    survival: Sequence[float]
    """Probability of each node that it is kept with all nodes above it; no node's is above its parent's."""
    context: int
    """Slots of keys and values of the row."""
    held: frozenset[int] = frozenset()
    """Nodes that are verified in any case; each with its parent."""

    def __post_init__(self) -> None:
        assert len(self.survival) == len(self.tree), "every node has a survival"
        assert all(
            parent < 0 or chance <= self.survival[parent]
            for chance, parent in zip(self.survival, self.tree.parents, strict=True)
        ), "no node is likelier than its parent"


@runtime_checkable
class WidthPolicy(Protocol):
    """How wide drafts are. One instance serves a loop."""

    def choose(self, offers: Sequence[Offer], *, pending: int | None = None) -> list[tuple[int, ...]]:
        """For each row of a pass the nodes to verify, ascending, each with its parent; those that are held among them.

        Args:
            offers: one for each row of the pass, also for those that propose nothing.
            pending: tokens that the pass reads in any case, of all rows together; None: one a row.
        """
        ...

    def limit(self, record: AcceptanceRecord, *, rows: int, context: int) -> int:
        """How many tokens a drafter is asked for at most, in a pass over so many rows; 0: it need not be asked."""
        ...

    def pays(self, gain: Gain, *, rows: int, context: int) -> bool:
        """Whether what a row has of drafters that take time is worth that time."""
        ...


@final
@dataclass(frozen=True, slots=True)
class MeasuredWidth:
    """As wide as pays on this device."""

    curve: CostCurve

    def choose(self, offers: Sequence[Offer], *, pending: int | None = None) -> list[tuple[int, ...]]:
        return allot(offers, self.curve, pending=len(offers) if pending is None else pending)

    def limit(self, record: AcceptanceRecord, *, rows: int, context: int) -> int:
        return limit(record, self.curve, rows, context)

    def pays(self, gain: Gain, *, rows: int, context: int) -> bool:
        seconds = self.curve.of_tokens(rows=rows, context=context)
        # Of a pass over several rows each has its share.
        drafted = seconds(rows + rows * round(gain.nodes)) / rows + gain.seconds
        return (1 + gain.kept) / drafted > rows / seconds(rows)


@final
@dataclass(frozen=True, slots=True)
class FixedWidth:
    """The `width` most likely nodes of every row, whatever they cost, and those that are held."""

    width: int

    def choose(self, offers: Sequence[Offer], *, pending: int | None = None) -> list[tuple[int, ...]]:
        del pending
        return [tuple(sorted({*_by_row(_likeliest([offer])[: self.width], 1)[0], *offer.held})) for offer in offers]

    def limit(self, record: AcceptanceRecord, *, rows: int, context: int) -> int:
        del record, rows, context
        return self.width

    def pays(self, gain: Gain, *, rows: int, context: int) -> bool:
        del gain, rows, context
        return True


def allot(offers: Sequence[Offer], curve: CostCurve, *, pending: int) -> list[tuple[int, ...]]:
    """For each row of a pass the nodes to verify, ascending, each with its parent.

    They maximise (rows + sum of survival) / seconds, if that is more than `MARGIN` above its value without any node.
    No node is likelier than its parent, so the best set of n nodes is that of the n likeliest. Nodes that are held are
    there without being chosen: they cost, they count, and the others are compared with the pass that has them.

    Args:
        offers: one for each row of the pass, also for those that propose nothing.
        curve: what passes cost.
        pending: tokens that the pass reads in any case, of all rows together; as a rule one a row.
    """
    if not offers:
        return []
    rows = len(offers)
    seconds = curve.of_tokens(rows=rows, context=max(offer.context for offer in offers))
    nodes = _likeliest(offers)
    held = [one for one in nodes if one[1] in offers[one[2]].held]
    if held:
        nodes = [one for one in nodes if one[1] not in offers[one[2]].held]
    pending += len(held)
    expected = float(rows) - sum(unlikely for unlikely, _, _ in held)
    best = (1 + MARGIN) * expected / seconds(pending)
    count = 0
    for number, (unlikely, _, _) in enumerate(nodes, start=1):
        expected -= unlikely
        rate = expected / seconds(pending + number)
        if rate > best:
            best, count = rate, number
    return _by_row([*held, *nodes[:count]], rows)


def limit(record: AcceptanceRecord, curve: CostCurve, rows: int, context: int) -> int:
    """How many tokens of a chain can be worth a place in a pass at most, if all are of the best grade.

    Judged for a row that drafts alone and for rows that all draft alike: together they can pay for a step of the curve
    that none of them could pay for alone.
    """
    rate, seconds = record.best_rate, curve.of_tokens(rows=rows, context=context)
    return max(_best_length(rate, seconds, rows, drafting) for drafting in {1, rows})


def _best_length(rate: float, seconds: Callable[[int], float], rows: int, drafting: int) -> int:
    """The best length of a chain for `drafting` of the rows of a pass when each token is kept at the same rate."""
    expected, chance = float(rows), 1.0
    best = (1 + MARGIN) * expected / seconds(rows)
    found = 0
    for length in range(1, LONGEST + 1):
        chance *= rate
        expected += drafting * chance
        time = seconds(rows + drafting * length)
        if expected / time > best:
            best, found = expected / time, length
        elif (expected + drafting * chance * rate / (1 - rate)) / time <= best:
            break  # Not even all later tokens together, for nothing, would be worth it.
    return found


def _likeliest(offers: Sequence[Offer]) -> list[tuple[float, int, int]]:
    """All nodes, the likeliest first and equals parents first: its survival negated, the node and its row."""
    return sorted(
        (-chance, node, row) for row, offer in enumerate(offers) for node, chance in enumerate(offer.survival)
    )


def _by_row(nodes: Sequence[tuple[float, int, int]], rows: int) -> list[tuple[int, ...]]:
    chosen: list[list[int]] = [[] for _ in range(rows)]
    for _, node, row in nodes:
        chosen[row].append(node)
    return [tuple(sorted(one)) for one in chosen]
