"""Prompt lookup: propose what followed the last time the text ended as it ends now."""

from collections.abc import Sequence
from typing import Final, final

from ptgflow.engine.request import Drafter, Proposal
from ptgflow.engine.trees import EMPTY, TokenTree

_LONGEST: Final = 16
"""Longer matches are not told apart: they are all worth the same."""
_GIVEN: Final = _LONGEST + 1
"""The grade of tokens of a text that is to be judged, while the answer follows it."""


@final
class NgramIndex:
    """Where each n-gram of a sequence last stood, kept up to date as the sequence grows."""

    def __init__(self, shortest: int, longest: int) -> None:
        """Index n-grams of `shortest` to `longest` tokens."""
        assert 1 <= shortest <= longest, "n-grams have at least one token"
        self._lengths = range(longest, shortest - 1, -1)
        self._after: dict[tuple[int, ...], int] = {}
        self._indexed = 0

    def extend(self, sequence: Sequence[int]) -> None:
        """Index what has been appended to the sequence, save the n-grams at its very end: nothing follows them yet."""
        for end in range(self._indexed + 1, len(sequence)):
            for length in self._lengths:
                if length <= end:
                    self._after[tuple(sequence[end - length : end])] = end
        self._indexed = max(self._indexed, len(sequence) - 1)

    def find(self, context: Sequence[int], length: int) -> int | None:
        """Where the tokens stand that followed the last `length` tokens of `context` at their latest occurrence."""
        return self._after.get(tuple(context[len(context) - length :])) if length <= len(context) else None


@final
class NgramDrafter:
    """Proposes the tokens that followed the latest occurrence of the longest n-gram in which the context ends.

    Saxena, "Prompt lookup decoding" (2023); LLMA, Yang et al., arXiv 2304.04487, section 3.2, for a given reference.
    """

    def __init__(self, *, k: int, min_ngram: int, max_ngram: int, reference: Sequence[int] = ()) -> None:
        """Make the drafter of one row.

        Args:
            k: most tokens to propose at once.
            min_ngram: shortest n-gram that counts as a match.
            max_ngram: longest n-gram that is looked up.
            reference: another text to look in; of matches of the same length its own comes first.
        """
        assert k >= 1, "a drafter proposes something"
        self._k = k
        self._lengths = range(max_ngram, min_ngram - 1, -1)
        self._reference = tuple(reference)
        self._in_reference = NgramIndex(min_ngram, max_ngram)
        self._in_reference.extend(self._reference)
        self._in_context = NgramIndex(min_ngram, max_ngram)

    def propose(self, context: Sequence[int], limit: int) -> Proposal:
        """A chain of at most `min(k, limit)` tokens; none where no n-gram matches.

        A token's grade is how many tokens before it are those that stood before it there, proposals included.
        """
        self._in_context.extend(context)
        count = min(self._k, limit)
        for length in self._lengths:
            for index, source in ((self._in_reference, self._reference), (self._in_context, context)):
                start = index.find(context, length)
                if start is not None:
                    tokens = tuple(source[start : start + count])
                    matched = _matched(context, source, start, length)
                    return Proposal(
                        tree=TokenTree.chain(tokens),
                        grades=tuple(min(matched + place, _LONGEST) for place in range(len(tokens))),
                    )
        return Proposal(tree=EMPTY)


def _matched(context: Sequence[int], source: Sequence[int], start: int, known: int) -> int:
    """How many tokens before `source[start]` are the last ones of the context, of which `known` are known to be."""
    length, most = known, min(start, len(context), _LONGEST)
    while length < most and source[start - length - 1] == context[-length - 1]:
        length += 1
    return length


@final
class GivenDrafter:
    """Proposes a given text in blocks, as long as the answer follows it; then what another drafter does."""

    def __init__(self, *, prompt_length: int, given: Sequence[int], lookup: Drafter | None, k: int) -> None:
        """Make the drafter of one row that is to judge `given`, of `k` tokens at a time."""
        self._start = prompt_length
        self._given = tuple(given)
        self._lookup = lookup
        self._k = k
        self._followed = 0
        """Leading tokens of the given text that the answer has; the answer has left the text when it is longer."""

    def propose(self, context: Sequence[int], limit: int) -> Proposal:
        """The next tokens of the given text, or what the lookup finds once the answer has left the text."""
        written = len(context) - self._start
        while (
            self._followed < min(written, len(self._given))
            and context[self._start + self._followed] == self._given[self._followed]
        ):
            self._followed += 1
        if self._followed < written or self._followed == len(self._given):
            return Proposal(tree=EMPTY) if self._lookup is None else self._lookup.propose(context, limit)
        tokens = self._given[written : written + min(self._k, limit)]
        return Proposal(tree=TokenTree.chain(tokens), grades=(_GIVEN,) * len(tokens))
