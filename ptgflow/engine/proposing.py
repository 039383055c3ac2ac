"""What the rows of a pass propose: of what their drafters say as much is verified as is worth its time."""

from collections.abc import Sequence
from typing import Final, final

from ptgflow.engine.costs.acceptance_record import AcceptanceRecord
from ptgflow.engine.costs.widths import LONGEST, FixedWidth, Offer, WidthPolicy
from ptgflow.engine.member import Member
from ptgflow.engine.request import Proposal
from ptgflow.engine.row import NOTHING
from ptgflow.engine.slots import SlotCache


@final
class Proposing:
    """Asks drafters, chooses among their proposals, and learns from what was accepted."""

    def __init__(self, widths: WidthPolicy) -> None:
        self._widths = widths
        self._all_rows = AcceptanceRecord()

    def new_record(self) -> AcceptanceRecord:
        """What a row knows when it starts: what the rows before it have learnt."""
        return AcceptanceRecord(self._all_rows)

    def proposals(self, members: Sequence[Member], cache: SlotCache) -> list[Proposal | Exception]:
        """For each row what is verified in the next pass; or the error of its drafter, which is the row's own."""
        found: list[Proposal | Exception] = []
        contexts = [cache.length(member.slot) if member.slot is not None else 0 for member in members]
        for member, context in zip(members, contexts, strict=True):
            widths = self._of(member)
            try:
                limit = widths.limit(member.record, rows=len(members), context=context)
                found.append(member.row.propose(limit))
            except Exception as error:
                found.append(error)
        # Rows of a fixed length take what they propose.
        free = {
            at: one
            for at, one in enumerate(found)
            if isinstance(one, Proposal) and self._of(members[at]) is self._widths
        }
        if not any(len(one.tree) for one in free.values()):
            return found
        offers = [_offer(proposal, members[at], contexts[at]) for at, proposal in free.items()]
        for (at, proposal), nodes in zip(free.items(), self._widths.choose(offers), strict=True):
            found[at] = _restricted(proposal, nodes)
        return found

    def _of(self, member: Member) -> WidthPolicy:
        return ALL if member.row.request.length == "fixed" else self._widths

    def learn(self, member: Member, proposal: Proposal, path: Sequence[int]) -> None:
        """Take in which nodes of a proposal were kept."""
        if member.row.request.drafter is None:
            return
        if len(proposal.tree):
            member.record.observe(proposal.tree, proposal.grades, path)
        else:
            member.record.idle()


ALL: Final = FixedWidth(LONGEST)
"""All that a drafter proposes."""


def _offer(proposal: Proposal, member: Member, context: int) -> Offer:
    survival = member.record.survival(proposal.tree, proposal.grades)
    if proposal.laws is not None:
        # A later sibling was drawn given the earlier ones, so it is never verified without them.
        least: dict[int, float] = {}
        for node, parent in enumerate(proposal.tree.parents):
            survival[node] = least[parent] = min(survival[node], least.get(parent, 1.0))
    return Offer(tree=proposal.tree, survival=survival, context=context)


def _restricted(proposal: Proposal, nodes: Sequence[int]) -> Proposal:
    """A proposal with some of its nodes."""
    if len(nodes) == len(proposal.tree):
        return proposal
    if not nodes:
        return NOTHING
    return Proposal(
        tree=proposal.tree.restricted(nodes),
        laws=None if proposal.laws is None else proposal.laws[list(nodes)],
        grades=tuple(proposal.grades[node] for node in nodes) if proposal.grades else (),
    )
