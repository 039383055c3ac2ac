"""Looking into a datastore: what followed there, counted."""

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from ptgflow.engine.growth.builder import Candidates
from ptgflow.engine.lookup.datastore import END, Datastore


@final
class Retrieved:
    """REST (He et al., arXiv 2311.08252, section 3.2): a trie of what follows the longest end that the datastore has.

    The weight of a prefix is how many of the continuations begin with it. As a chance it is its share of those that
    begin with its parent, so that a tree of the likeliest nodes is one of the most frequent prefixes.
    """

    def __init__(self, store: Datastore, *, shortest: int, longest: int, most: int) -> None:
        """Start a row.

        Args:
            store: what is looked into.
            shortest: fewer tokens are no match.
            longest: no longer end of the text is looked up.
            most: most continuations that are counted. Of more occurrences so many are taken, evenly in their order.
        """
        self._store, self._shortest, self._longest, self._most = store, shortest, longest, most
        self._places: NDArray[np.integer] = store.order[:0]
        self._spans: dict[tuple[int, ...], tuple[int, int]] = {(): (0, 0)}

    def advance(self, context: Sequence[int]) -> None:
        end = context[max(len(context) - self._longest, 0) :]
        _, places = self._store.longest(end, shortest=self._shortest, longest=self._longest)
        if len(places) > self._most:
            places = places[np.arange(self._most) * len(places) // self._most]
        self._places = places
        self._spans = {(): (0, len(places))}

    def after(self, path: Sequence[int], width: int) -> Candidates:
        first, last = self._span(tuple(path))
        following = self._store.tokens[self._places[first:last] + len(path)]
        tokens, counts = np.unique(following[following != END], return_counts=True)
        order = np.lexsort((tokens, -counts))[:width]
        # One continuation more is allowed for, that of something new: a single one is believed half.
        total = last - first + (not path)
        return Candidates(tuple(tokens[order].tolist()), tuple((counts[order] / total).tolist()))

    def close(self) -> None:
        """Nothing to do: a datastore does not change."""

    def _span(self, path: tuple[int, ...]) -> tuple[int, int]:
        """Which of the continuations begin with a path: as they are ordered, one stretch of them."""
        known = self._spans.get(path)
        if known is None:
            first, last = self._span(path[:-1])
            column = self._store.tokens[self._places[first:last] + len(path) - 1]
            start, end = np.searchsorted(column, path[-1], side="left"), np.searchsorted(column, path[-1], side="right")
            known = self._spans[path] = first + int(start), first + int(end)
        return known
