"""What the rows of a pass propose: of what their drafters say as much is verified as is worth its time."""

from collections.abc import Sequence
from typing import Final, final

from ptgflow.engine.costs.acceptance_record import AcceptanceRecord
from ptgflow.engine.costs.widths import LONGEST, FixedWidth, Offer, WidthPolicy
from ptgflow.engine.drafted import drafted
from ptgflow.engine.lengths import RowLength, cut
from ptgflow.engine.member import Member
from ptgflow.engine.request import Proposal
from ptgflow.engine.row import NOTHING
from ptgflow.engine.slots import SlotCache
from ptgflow.engine.verify import Block


@final
class Proposing:
    """Asks drafters, chooses among their proposals, and learns from what was accepted."""

    def __init__(self, widths: WidthPolicy) -> None:
        self._widths = widths
        self._all_rows = AcceptanceRecord()
        self._rows = 1
        """Rows of the last pass."""

    def new_record(self) -> AcceptanceRecord:
        """What a row knows when it starts: what the rows before it have learnt."""
        return AcceptanceRecord(self._all_rows)

    def proposals(self, members: Sequence[Member], cache: SlotCache, *, reading: int) -> list[Proposal | Exception]:
        """For each row what is verified in the next pass; or the error of its drafter, which is the row's own.

        Args:
            members: the rows that will have logits.
            cache: tells how much of each row's text was read.
            reading: tokens of texts that the pass reads, of these rows and of others.
        """
        self._rows = max(len(members), 1)
        contexts = [cache.length(member.slot) if member.slot is not None else 0 for member in members]
        limits = [self._limit(member, len(members), context) for member, context in zip(members, contexts, strict=True)]
        found = [
            _cut(_judgeable(one, member), member.depth)
            for one, member in zip(drafted(members, limits, cache), members, strict=True)
        ]
        # Rows of a fixed length take what they propose, and the others choose with that in the pass.
        free = [isinstance(one, Proposal) and self._of(members[at]) is self._widths for at, one in enumerate(found)]
        fixed = sum(
            len(one.tree) for one, is_free in zip(found, free, strict=True) if not is_free and isinstance(one, Proposal)
        )
        offers = [
            _offer(one if is_free and isinstance(one, Proposal) else NOTHING, member, context)
            for one, is_free, member, context in zip(found, free, members, contexts, strict=True)
        ]
        if any(len(offer.tree) for offer in offers):
            for at, nodes in enumerate(self._widths.choose(offers, pending=reading + fixed)):
                proposal = found[at]
                if free[at] and isinstance(proposal, Proposal):
                    found[at] = _restricted(proposal, nodes)
        return found

    def _limit(self, member: Member, rows: int, context: int) -> int:
        """How many nodes the drafters of a row are asked for at most."""
        limit = self._of(member).limit(member.record, rows=rows, context=context)
        length = member.row.request.length
        depth = length.depth() if isinstance(length, RowLength) else LONGEST
        member.depth = depth
        if not member.row.request.joint:
            limit = min(limit, depth)
        # The limit is that of a chain. Drafters that branch have sizes of their own, and it says only whether to ask.
        return member.row.limit(LONGEST if limit and member.row.request.joint else limit)

    def _of(self, member: Member) -> WidthPolicy:
        return self._widths if member.row.request.length == "expected_throughput" else ALL

    def learn(self, member: Member, proposal: Proposal, block: Block) -> None:
        """Take in which nodes of a proposal were kept."""
        request, path = member.row.request, block.path
        if not request.drafts:
            return
        for listener in request.listening:
            listener.answered(member.number, proposal.tree, block.own)
        if request.joint and member.gain.asked:
            member.gain.learn(len(path), len(proposal.tree))
            member.gain.settle(
                pays=self._of(member).pays(member.gain, rows=self._rows, context=len(member.row.context))
            )
        if len(proposal.tree):
            if isinstance(request.length, RowLength):
                request.length.learn(proposal.tree, path)
            member.record.observe(proposal.tree, proposal.grades, path)
            if len(request.joint) == 1 and request.drafter is None:
                request.joint[0].judged(member.number, proposal.tree, path)
        else:
            member.record.idle()


ALL: Final = FixedWidth(LONGEST)
"""All that a drafter proposes."""


def _judgeable(proposal: Proposal | Exception, member: Member) -> Proposal | Exception:
    """The proposal, if the row's rule can judge one of its shape."""
    rule = member.row.request.accept
    if isinstance(proposal, Proposal) and rule.chains_only and not proposal.tree.is_chain:
        return ValueError(
            f"accept={rule.name} judges chains, and the drafter proposed a tree that branches: "
            "write accept=speculative, or draft a chain"
        )
    return proposal


def _cut(proposal: Proposal | Exception, depth: int) -> Proposal | Exception:
    """A proposal without what is deeper than the row's drafts are to be."""
    return proposal if isinstance(proposal, Exception) else _restricted(proposal, cut(proposal.tree, depth))


def _offer(proposal: Proposal, member: Member, context: int) -> Offer:
    survival = member.record.survival(proposal.tree, proposal.grades)
    if proposal.laws is not None:
        # A later sibling was drawn given the earlier ones, so it is never verified without them.
        least: dict[int, float] = {}
        for node, parent in enumerate(proposal.tree.parents):
            above = survival[parent] if parent >= 0 else 1.0
            survival[node] = least[parent] = min(survival[node], least.get(parent, 1.0), above)
    return Offer(tree=proposal.tree, survival=survival, context=context, held=proposal.held)


def _restricted(proposal: Proposal, nodes: Sequence[int]) -> Proposal:
    """A proposal with some of its nodes, and those that are held."""
    nodes = sorted({*nodes, *proposal.held}) if proposal.held else nodes
    if len(nodes) == len(proposal.tree):
        return proposal
    if not nodes:
        return NOTHING
    return Proposal(
        tree=proposal.tree.restricted(nodes),
        laws=None if proposal.laws is None else proposal.laws[list(nodes)],
        grades=tuple(proposal.grades[node] for node in nodes) if proposal.grades else (),
        held=frozenset(at for at, node in enumerate(nodes) if node in proposal.held),
    )
