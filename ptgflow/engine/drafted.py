"""What the drafters of all rows propose: each row's own, and those that serve many rows, which are asked once."""

import time
from collections.abc import Sequence

from ptgflow.engine.member import Member
from ptgflow.engine.memory import is_out_of_memory
from ptgflow.engine.merging import merged
from ptgflow.engine.request import Ask, JointDrafter, Place, Proposal, Trained
from ptgflow.engine.row import NOTHING
from ptgflow.engine.slots import SlotCache
from ptgflow.engine.trees import TokenTree


def drafted(members: Sequence[Member], limits: Sequence[int], cache: SlotCache) -> list[Proposal | Exception]:
    """For each row one tree of at most so many nodes; or the error of a drafter, which is the row's own.

    Args:
        members: the rows.
        limits: most nodes of each.
        cache: what the target has read of each. Drafters that read its states draft once that is all but the last
            token.

    Raises:
        Exception: a want of memory, which is not one row's.
    """
    parts: list[list[Proposal | Exception]] = [[] for _ in members]
    shared: dict[int, tuple[JointDrafter, list[int]]] = {}
    for at, (member, limit) in enumerate(zip(members, limits, strict=True)):
        request = member.row.request
        member.gain.asked = False
        member.foreseen.clear()
        if limit < 1:
            continue
        if request.drafter is not None:
            parts[at].append(_own(member, limit))
        caught_up = member.slot is not None and cache.length(member.slot) == len(member.row.context) - 1
        for joint in request.joint if caught_up and member.gain.ask() else ():
            shared.setdefault(id(joint), (joint, []))[1].append(at)
    for joint, rows in shared.values():
        started = time.perf_counter()
        proposals = _jointly(joint, [_ask(members[at], limits[at], cache) for at in rows])
        seconds = (time.perf_counter() - started) / len(rows)
        for at in rows:
            members[at].gain.took(seconds)
        for at, proposal in zip(rows, proposals, strict=True):
            parts[at].append(proposal)
            if isinstance(joint, Trained) and joint.source and isinstance(proposal, Proposal) and len(proposal.tree):
                members[at].foreseen.append((joint.source, _first(proposal.tree)))
    return [_one(found, limit) for found, limit in zip(parts, limits, strict=True)]


def _one(found: Sequence[Proposal | Exception], limit: int) -> Proposal | Exception:
    error = next((one for one in found if isinstance(one, Exception)), None)
    if error is not None:
        return error
    proposals = [one for one in found if isinstance(one, Proposal)]
    if not proposals:
        return NOTHING
    return proposals[0] if len(proposals) == 1 else merged(proposals, limit=limit)


def _first(tree: TokenTree) -> frozenset[int]:
    """The tokens that may stand at the next place."""
    return frozenset(token for token, parent in zip(tree.tokens, tree.parents, strict=True) if parent < 0)


def _own(member: Member, limit: int) -> Proposal | Exception:
    try:
        return member.row.propose(limit)
    except Exception as error:
        return error


def _jointly(joint: JointDrafter, asks: Sequence[Ask]) -> Sequence[Proposal | Exception]:
    try:
        proposals = joint.propose(asks)
    except Exception as error:
        if is_out_of_memory(error):
            raise  # The loop goes on with fewer rows.
        return [error for _ in asks]
    for ask, proposal in zip(asks, proposals, strict=True):
        assert len(proposal.tree) <= ask.limit, "a drafter proposes at most what it was asked for"
    return proposals


def _ask(member: Member, limit: int, cache: SlotCache) -> Ask:
    row, request = member.row, member.row.request
    return Ask(
        row=member.number,
        context=row.context,
        limit=limit,
        written=row.written,
        sampling=request.sampling,
        seed=request.seed,
        place=None if member.slot is None else Place(cache, member.slot),
    )
