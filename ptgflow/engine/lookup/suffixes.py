"""Looking into the row's own text, and into those of rows before it."""

from collections.abc import Sequence
from typing import final

from ptgflow.engine.growth.builder import Candidates
from ptgflow.engine.lookup.automaton import START, Match, SuffixAutomaton


@final
class Earlier:
    """Texts of rows that have ended, at most so many tokens of them; then it starts anew."""

    def __init__(self, most: int) -> None:
        assert most >= 0, "tokens are counted"
        self._most = most
        self._tokens = 0
        self.automaton = SuffixAutomaton()
        self.version = 0
        """Changes when matches are no longer valid."""

    def add(self, text: Sequence[int]) -> None:
        """Remember a text."""
        if not self._most:
            return
        if self._tokens + len(text) > self._most:
            self.automaton, self._tokens = SuffixAutomaton(), 0
        self.version += 1
        text = text[-self._most :]
        self.automaton.restart()
        self.automaton.extend(text)
        self._tokens += len(text)


@final
class Suffixes:
    """What followed the longest end of the text that occurs, by frequency (SuffixDecoding, arXiv 2411.04975, 3.2).

    Of the row's own text and earlier ones the longer match is believed, and at equal length both are counted together.
    """

    def __init__(self, earlier: Earlier, *, shortest: int, longest: int) -> None:
        """Start a row.

        Args:
            earlier: texts before this one.
            shortest: fewer tokens are no match.
            longest: of a longer match so many tokens count.
        """
        self._earlier, self._shortest, self._longest = earlier, shortest, longest
        self._own = SuffixAutomaton()
        self._text: list[int] = []
        self._there, self._version = START, -1

    def advance(self, context: Sequence[int]) -> None:
        new = context[len(self._text) :]
        self._own.extend(new)
        self._text += new
        if self._version != self._earlier.version:
            self._there = self._earlier.automaton.walk(START, self._text[-4 * self._longest :])
            self._version = self._earlier.version
        else:
            self._there = self._earlier.automaton.walk(self._there, new)

    def after(self, path: Sequence[int], width: int) -> Candidates:
        found: dict[int, dict[int, int]] = {}
        for automaton, match in ((self._own, self._own.repeated()), (self._earlier.automaton, self._there)):
            length, counts = self._follow(automaton, automaton.walk(match, path))
            if counts:
                known = found.setdefault(length, {})
                for token, count in counts.items():
                    known[token] = known.get(token, 0) + count
        if not found:
            return Candidates((), ())
        counts = found[max(found)]
        total = sum(counts.values())
        best = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:width]
        # One occurrence more is allowed for, that of something new: a single one is believed half.
        return Candidates(tuple(token for token, _ in best), tuple(count / (total + 1) for _, count in best))

    def _follow(self, automaton: SuffixAutomaton, match: Match) -> tuple[int, dict[int, int]]:
        """What follows the longest match that anything follows, and its length."""
        while match.length >= self._shortest:
            counts = dict(automaton.following(match))
            if counts:
                return min(match.length, self._longest), counts
            match = automaton.shorter(match)
        return 0, {}

    def close(self) -> None:
        self._earlier.add(self._text)
