"""What drafters of several rows are told of each pass: the tokens that stay, with the target's hidden states."""

from collections.abc import Iterable, Mapping, Sequence

from ptgflow.engine.member import Member
from ptgflow.engine.passes.interface import Tapped
from ptgflow.engine.slots import RowInput


def taps_of(members: Iterable[Member]) -> tuple[int, ...]:
    """The hidden states that the drafters of these rows read, ascending."""
    return tuple(sorted({tap for member in members for joint in member.row.request.joint for tap in joint.taps}))


def teach(
    members: Sequence[Member],
    inputs: Sequence[RowInput],
    kept: Mapping[int, Sequence[int]],
    tapped: Tapped,
    taps: tuple[int, ...],
) -> None:
    """Tell the drafters of each row what the pass read of it.

    Args:
        members: the rows of the pass.
        inputs: what each brought.
        kept: for each slot which of its new tokens stay.
        tapped: what the pass gave.
        taps: of which hidden states, ascending.
    """
    at = 0
    size = tapped.states.shape[1] // len(taps) if taps else 0
    for member, given in zip(members, inputs, strict=True):
        ids = (*given.tokens, *given.tree.tokens)
        states, at = tapped.states[at : at + len(ids)], at + len(ids)
        if not member.row.request.joint:
            continue
        places = list(kept[given.row])
        states = states[places]
        for joint in member.row.request.joint:
            mine = states
            if joint.taps != taps:
                begins = [taps.index(tap) * size for tap in joint.taps]
                mine = states[:, [column for begin in begins for column in range(begin, begin + size)]]
            joint.read(member.number, [ids[place] for place in places], mine)
