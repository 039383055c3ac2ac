"""Heads that foresee nothing at all are noticed while they draft, so that no pass is spent on a trial."""

from collections import Counter
from typing import Final, final

from ptgflow.diagnostics import Diagnostic
from ptgflow.diagnostics.codes.runtime import HEADS_FORESEE_NOTHING
from ptgflow.engine.member import Member
from ptgflow.engine.verify import Block

ROUNDS: Final = 16
"""Drafts that may fail in a row from the first one on. Of heads that are right at the next token every other time, one
set in 65,000 comes to this."""


@final
class HeadWatch:
    """Counts, for each set of heads, drafts that did not even have the token that the target wrote next."""

    def __init__(self) -> None:
        self._failed: Counter[str] = Counter()
        self._settled: set[str] = set()
        """Sets that have been right once, or that have been told of."""

    def see(self, member: Member, block: Block) -> list[Diagnostic]:
        """Compare what heads proposed for the next place with what the target wrote there.

        The target's word is the first token of a block whatever drafters made the tree and however much of it was
        verified; but where a rule keeps what the target did not say, only a proposal that it did say counts.
        """
        on_its_word = not block.path or block.agreed[0] or member.row.request.accept.sampled != "none"
        found: list[Diagnostic] = []
        for source, first in member.foreseen:
            if source in self._settled:
                continue
            self._failed[source] += 1
            if on_its_word and block.tokens[0] in first:
                self._settled.add(source)
            elif self._failed[source] == ROUNDS:
                self._settled.add(source)
                found.append(HEADS_FORESEE_NOTHING(path=source, rounds=ROUNDS))
        return found
