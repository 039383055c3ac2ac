"""What locate-and-revise knows of a text: its limits, what it has tried, and where a round has come to."""

import itertools
import math
from collections.abc import Sequence
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
    candidates: int = 4
    """So many tokens are tried in its place: the likeliest after the text before it."""
    ahead: int = 4
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
    """Places and the tokens there for which nothing better was found, where nothing has changed since."""
    scored: list[float] = field(default_factory=list[float])
    """Log-probability of each token that was read last, from the first one on, and these tokens."""
    read: tuple[int, ...] = ()
    moved: bool = False
    """Whether what is kept does not begin with the text's first token: there was no room for all of it."""

    def unchanged(self, token_ids: Sequence[int], ahead: int) -> int:
        """Up to which token what was read holds for another text, and what was tried: nothing near has changed."""
        if self.moved:
            return 0
        pairs = zip(self.read[: len(self.scored)], token_ids, strict=False)
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        return max(same - ahead, 0)


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
    number: int
    """Of its row among the texts that are kept."""
    at: int = 0
    """Its first token that is not scored."""
    left: int = 0
    """Its first token that is read."""
    found: list[Better] = field(default_factory=list[Better])

    @property
    def stretch(self) -> range:
        return range(self.at, min(self.at + STRETCH, len(self.ask.token_ids)))

    @property
    def mean(self) -> float:
        """Log-likelihood a token, of what is scored."""
        return sum(self.row.scored) / max(len(self.row.scored), 1)

    def shown(self, ahead: int) -> tuple[int, ...]:
        """The stretch, and what counts of the text behind it."""
        return self.ask.token_ids[self.at : self.stretch.stop + ahead]

    def before(self, place: int) -> int:
        """The token before a place."""
        return self.ask.token_ids[place - 1] if place else self.row.prompt[-1]

    def behind(self, place: int, ahead: int) -> tuple[int, ...]:
        """The tokens behind a place that count."""
        return self.ask.token_ids[place + 1 : place + 1 + ahead]


@dataclass(frozen=True, slots=True)
class Branch:
    """What could stand at a place, and what stands behind it."""

    token: int
    """NOTHING: what stands behind the place follows what stands before."""
    path: tuple[int, ...]
    """The token, if there is one, and what stands behind."""
    nodes: tuple[int, ...]
    """Of the tree: those of the path, but for its last token, after which nothing is asked."""


def branches(behind: tuple[int, ...], tokens: Sequence[int], *, first: bool) -> tuple[TokenTree, list[Branch]]:
    """A branch for each token that could stand at a place.

    Args:
        behind: what stands behind the place, as far as it counts.
        tokens: what could stand there.
        first: whether the place is the text's first, which is never left empty.
    """
    nodes: list[int] = []
    parents: list[int] = []
    found: list[Branch] = []
    for token in (*tokens, NOTHING):
        path = (token, *behind) if token != NOTHING else behind
        if not path or (first and token == NOTHING):
            continue
        begin = len(nodes)
        nodes += path[:-1]
        parents += [-1, *range(begin, begin + len(path) - 2)][: len(path) - 1]
        found.append(Branch(token, path, tuple(range(begin, len(nodes)))))
    return TokenTree(tuple(nodes), tuple(parents)), found
