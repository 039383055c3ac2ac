"""Jacobi decoding: a chain of guesses is verified, and what the target says after each is the next chain."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.request import Ask, Proposal
from ptgflow.engine.trees import TokenTree


@dataclass(slots=True)
class _Row:
    """One row's iteration."""

    random: random.Random
    guesses: list[int] = field(default_factory=list[int])
    """What is being verified; empty: nothing is."""
    behind: int = 0
    """Length of the text that these are behind."""
    start: int = 0
    said: list[int] = field(default_factory=list[int])
    """The target's tokens of the last pass, the first of them for the place `start`."""


@final
class JacobiDrafter:
    """Santilli et al., arXiv 2305.10427, section 3.1, algorithm 2 on a block that moves along with the text.

    Decoding n tokens greedily is solving x[i] = argmax p(. | x[<i]) for all i. A pass computes the right-hand sides of
    all of them from the last guess, which is Jacobi's iteration; the verifier keeps what is settled.
    """

    taps: tuple[int, ...] = ()

    def __init__(self, *, size: int) -> None:
        """Make a drafter that guesses at `size` places at a time."""
        assert size >= 1, "an iteration is over some places"
        self._size = size
        self._rows: dict[int, _Row] = {}

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Nothing to do: the text comes with each question."""

    def judged(self, row: int, tree: TokenTree, path: Sequence[int]) -> None:
        """Nothing to do: what was kept is in the next text."""

    def fork(self, row: int, source: int, length: int) -> None:
        """Nothing to do: a row starts with guesses of its own."""

    def forget(self, row: int) -> None:
        """Drop the row's guesses."""
        self._rows.pop(row, None)

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        """For each row the guesses at the next places, all held: each is what the next ones are computed from."""
        return [self._guess(ask) for ask in asks]

    def _guess(self, ask: Ask) -> Proposal:
        row = self._rows.setdefault(ask.row, _Row(random.Random(ask.seed)))
        count = min(self._size, ask.limit)
        # Of the tokens that the target said those are left whose places are behind the text that there is now.
        row.guesses = row.said[len(ask.context) - row.start :][:count]
        while len(row.guesses) < count:
            row.guesses.append(row.random.choice(ask.context))
        row.behind = len(ask.context)
        return Proposal(tree=TokenTree.chain(row.guesses), held=frozenset(range(count)))

    def answered(self, row: int, tree: TokenTree, own: Sequence[int]) -> None:
        """Keep what the target said along the chain, which may be a part of a tree that others have drafted, too."""
        known = self._rows.get(row)
        if known is None or not known.guesses:
            return
        places = TokenTree.chain(known.guesses).within(tree)
        known.said = [own[place + 1] for place in places.values()]
        known.start, known.guesses = known.behind, []
