"""Editors that only tag: what they would write anew is left as holes (FELIX, Mallinson et al., EMNLP 2020 Findings).

The tags of FELIX say of each word whether it stays, and how many masks are inserted behind it (arXiv 2003.10687,
section 3.1). Tags come from trained policies, or from a tagger, whose own words are not taken: only where they would
stand, and how many tokens they have.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final, final

from ptgflow.engine.edit.changes import Change, applied
from ptgflow.engine.edit.places import char_starts
from ptgflow.engine.edit.policies.editors import Levenshtein
from ptgflow.engine.edit.policies.rewriting import HOLE, Step, revision_of
from ptgflow.engine.edit.rules import EditAsk, Editor, Revision
from ptgflow.engine.models.codec import Codec


@final
class PolicyTags:
    """Deletion and placeholders by trained policies, without what would fill them."""

    name: ClassVar[str] = "felix"

    def __init__(self, policies: Levenshtein) -> None:
        self._policies: Final = policies

    def revise(self, asks: Sequence[EditAsk]) -> list[Revision]:
        """One round, after which holes have the token HOLE."""
        drafts = self._policies.holed(asks)
        return [
            self._policies.revision(ask, [one for key, one in drafts.items() if key[0] == ask.row], by=self.name)
            for ask in asks
        ]

    def free(self, row: int) -> None:
        """Drop what is known of a text."""
        self._policies.free(row)


@final
class ChangesAsTags:
    """What another editor writes, as holes for as many tokens as it has."""

    name: ClassVar[str] = "felix"

    def __init__(self, editor: Editor, codec: Codec) -> None:
        self._editor = editor
        self._codec = codec

    def revise(self, asks: Sequence[EditAsk]) -> list[Revision]:
        """One round, after which holes have the token HOLE."""
        found = self._editor.revise(asks)
        return [self._holed(ask, one.changes) for ask, one in zip(asks, found, strict=True)]

    def free(self, row: int) -> None:
        """Drop what is known of a text."""
        self._editor.free(row)

    def _holed(self, ask: EditAsk, changes: Sequence[Change]) -> Revision:
        starts = char_starts(self._codec, ask.text, ask.token_ids)
        steps: list[Step] = []
        dropped = [0.0] * len(ask.token_ids)
        at = 0
        for begin, end, group in _grouped(changes, starts):
            steps += (Step(token, origin=place) for place, token in enumerate(ask.token_ids[at:begin], at))
            first, last = starts[begin], starts[end]
            assert first is not None, "groups begin between characters"
            assert last is not None, "and end there"
            own = [replace(one, begin=one.begin - first) for one in group]
            score = min(one.score for one in group)
            size = len(self._codec.encode(applied(ask.text[first:last], own)))
            steps += [Step(HOLE, score)] * size
            dropped[begin:end] = [score] * (end - begin)
            at = end
        steps += (Step(token, origin=place) for place, token in enumerate(ask.token_ids[at:], at))
        return revision_of(self._codec, ask.text, ask.token_ids, steps, dropped, by=self.name)


def _grouped(changes: Sequence[Change], starts: Sequence[int | None]) -> list[tuple[int, int, list[Change]]]:
    """Changes with the tokens that they are in, from the first to behind the last; those of one token together."""
    known = [(start, token) for token, start in enumerate(starts) if start is not None]
    found: list[tuple[int, int, list[Change]]] = []
    for change in changes:
        begin = max((token for start, token in known if start <= change.begin), default=0)
        end = min((token for start, token in known if start >= change.end and token >= begin), default=begin)
        if starts[begin] == change.begin == change.end:
            end = begin
        if found and begin < found[-1][1]:
            first, last, group = found[-1]
            found[-1] = (first, max(last, end), [*group, change])
        else:
            found.append((begin, end, [change]))
    return found
