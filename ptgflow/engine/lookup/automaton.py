"""A suffix automaton of token sequences, which knows how often everything that it has read occurs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final


@dataclass(slots=True)
class _State:
    length: int
    link: int
    count: int = 0
    """How often the state's strings occur."""
    next: dict[int, int] = field(default_factory=dict[int, int])


@dataclass(frozen=True, slots=True)
class Match:
    """The longest end of a sequence that occurs."""

    state: int
    length: int


@final
class SuffixAutomaton:
    """Online construction (Blumer et al., "The smallest automaton recognizing the subwords of a text", 1985).

    Counts are kept up to date as it grows: each new token adds one occurrence to all ends of what was read.
    """

    def __init__(self) -> None:
        self._states = [_State(0, -1)]
        self._last = 0

    def __len__(self) -> int:
        """Tokens read."""
        return self._states[self._last].length

    def extend(self, tokens: Sequence[int]) -> None:
        """Read on."""
        for token in tokens:
            self._append(token)

    def restart(self) -> None:
        """What is read next does not follow what was read before."""
        self._last = 0

    def walk(self, match: Match, tokens: Sequence[int]) -> Match:
        """The longest end that occurs when a sequence goes on."""
        state, length = match.state, match.length
        # The state may have been split since it was matched.
        while state and self._states[self._states[state].link].length >= length:
            state = self._states[state].link
        for token in tokens:
            while state and token not in self._states[state].next:
                state = self._states[state].link
                length = self._states[state].length
            following = self._states[state].next.get(token)
            if following is not None:
                state, length = following, length + 1
        return Match(state, length)

    def repeated(self) -> Match:
        """The longest end of what was read last that occurs elsewhere, too."""
        link = max(self._states[self._last].link, 0)
        return Match(link, self._states[link].length)

    def shorter(self, match: Match) -> Match:
        """The longest end that occurs in more places; the empty one at last."""
        link = max(self._states[match.state].link, 0)
        return Match(link, self._states[link].length)

    def following(self, match: Match) -> Mapping[int, int]:
        """How often each token follows a match."""
        return {token: self._states[at].count for token, at in self._states[match.state].next.items()}

    def _append(self, token: int) -> None:
        states, last = self._states, self._last
        known = states[last].next.get(token)
        if known is not None:
            # A text that starts anew runs through states that are there.
            self._last = known if states[known].length == states[last].length + 1 else self._clone(last, token, known)
        else:
            self._last = len(states)
            states.append(_State(states[last].length + 1, 0))
            at = last
            while at >= 0 and token not in states[at].next:
                states[at].next[token] = self._last
                at = states[at].link
            if at >= 0:
                found = states[at].next[token]
                right = states[found].length == states[at].length + 1
                states[self._last].link = found if right else self._clone(at, token, found)
        at = self._last
        while at > 0:
            states[at].count += 1
            at = states[at].link

    def _clone(self, at: int, token: int, found: int) -> int:
        """Split the state `found`, which is reached from `at` by a token, by the length of its strings."""
        states, clone = self._states, len(self._states)
        old = states[found]
        states.append(_State(states[at].length + 1, old.link, old.count, dict(old.next)))
        old.link = clone
        while at >= 0 and states[at].next.get(token) == found:
            states[at].next[token] = clone
            at = states[at].link
        return clone


START = Match(0, 0)
"""Nothing has been matched."""
