"""What locate-and-revise knows of a text: its limits, what it has tried, and where a round has come to."""

import math
from dataclasses import dataclass, field
from typing import Final

from ptgflow.engine.edit.rules import EditAsk
from ptgflow.engine.trees import TokenTree

STRETCH: Final = 96
"""Tokens of a text that are scored in a pass."""
NOTHING: Final = -1
"""Stands for no token at all in the place of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a token is unlikely, and when another one is better."""

    weak: float = 0.05
    """A token of at most this probability is looked at."""
    candidates: int = 8
    """So many tokens are tried in its place: the likeliest after the text before it."""
    ahead: int = 8
    """Tokens behind it whose probability counts."""
    gain: float = 2.0
    """Least rise of the log-probability of it and of these, in nats; of these alone, where it is taken out."""


@dataclass(slots=True)
class Known:
    """What is known of a text from round to round."""

    prompt: tuple[int, ...]
    mean: float = -math.inf
    """Log-likelihood a token of the text of the round before, and that text."""
    token_ids: tuple[int, ...] = ()
    text: str = ""
    tried: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    """Places and the tokens there for which nothing better was found, since anything changed."""


@dataclass(frozen=True, slots=True)
class Better:
    """A token that is better at a place."""

    place: int
    token: int
    """NOTHING: there should be none."""
    gain: float
    before: float
    """Log-probability of what stands there."""
    after: float
    """And of what is better; 0 of nothing."""


@dataclass(slots=True)
class Reading:
    """A text on its way through the passes of a round."""

    ask: EditAsk
    row: Known
    slot: int
    """Where its prompt is kept."""
    at: int = 0
    """Its first token that is not scored."""
    total: float = 0.0
    found: list[Better] = field(default_factory=list[Better])

    @property
    def stretch(self) -> range:
        return range(self.at, min(self.at + STRETCH, len(self.ask.token_ids)))

    @property
    def mean(self) -> float:
        """Log-likelihood a token."""
        return self.total / max(len(self.ask.token_ids), 1)

    def shown(self, ahead: int) -> tuple[int, ...]:
        """The stretch, and what counts of the text behind it."""
        return self.ask.token_ids[self.at : self.stretch.stop + ahead]


@dataclass(frozen=True, slots=True)
class Branch:
    """What could stand at a place, and what stands behind it."""

    place: int
    token: int
    """NOTHING: what stands behind it follows what stands before."""
    nodes: tuple[int, ...]
    """Of the tree: the token's, if there is one, and those of what stands behind it."""


def branches(one: Reading, candidates: dict[int, list[int]], ahead: int) -> tuple[TokenTree, list[Branch]]:
    """The shown text, and for each candidate a branch of it.

    Args:
        one: the stretch.
        candidates: for each place in doubt what could stand there.
        ahead: tokens behind a place that belong to its branches.
    """
    ids, shown = one.ask.token_ids, one.shown(ahead)
    tokens, parents = list(shown), list(range(-1, len(shown) - 1))
    found: list[Branch] = []
    for place, tried in candidates.items():
        behind = ids[place + 1 : place + 1 + ahead]
        for token in (*tried, NOTHING):
            path = (token, *behind) if token != NOTHING else behind
            first = len(tokens)
            for step, another in enumerate(path):
                parents.append(len(tokens) - 1 if step else place - one.at - 1)
                tokens.append(another)
            found.append(Branch(place, token, tuple(range(first, len(tokens)))))
    return TokenTree(tuple(tokens), tuple(parents)), found
