"""The n-grams that an iteration has come by, by their first token."""

from collections import Counter
from collections.abc import Sequence
from typing import final

from ptgflow.engine.growth.builder import Candidates


@final
class Pool:
    """Of each first token the latest n-grams, at most so many (Fu et al., arXiv 2402.02057, section 3.2)."""

    def __init__(self, *, ngram: int, guesses: int) -> None:
        """Make an empty pool.

        Args:
            ngram: tokens of each, the first one included.
            guesses: most n-grams of a first token; the one that was not seen for longest leaves.
        """
        assert ngram >= 2, "an n-gram says what follows a token"
        assert guesses >= 1, "a pool has room"
        self._ngram, self._guesses = ngram, guesses
        self._known: dict[int, dict[tuple[int, ...], None]] = {}

    def add(self, tokens: Sequence[int]) -> None:
        """Take in an n-gram, which is the latest now."""
        assert len(tokens) == self._ngram, "n-grams of a pool are of one length"
        first, rest = tokens[0], tuple(tokens[1:])
        latest = self._known.setdefault(first, {})
        latest.pop(rest, None)
        latest[rest] = None
        if len(latest) > self._guesses:
            del latest[next(iter(latest))]

    def after(self, token: int) -> list[tuple[int, ...]]:
        """What the n-grams have behind a first token, the latest first."""
        return list(reversed(self._known.get(token, {})))

    def candidates(self, token: int, path: Sequence[int], width: int) -> Candidates:
        """What may follow a token and then a path: by how many of its n-grams go on so, and of equals the latest."""
        depth = len(path)
        if depth >= self._ngram - 1:
            return Candidates((), ())
        following = [rest[depth] for rest in self.after(token) if rest[:depth] == tuple(path)]
        counts = Counter(following).most_common(width)
        # One more is allowed for, that of something new: a single one is believed half.
        total = len(following) + 1
        return Candidates(tuple(token for token, _ in counts), tuple(count / total for _, count in counts))
