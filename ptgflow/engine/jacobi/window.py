"""The two-dimensional window of lookahead decoding: guesses at the next places, and how they came about."""

import random
from collections.abc import Sequence
from typing import final

from ptgflow.engine.trees import TokenTree


@final
class Window:
    """Fu et al., arXiv 2402.02057, section 3.1 and figure 4: columns are places ahead, rows are steps of the iteration.

    Row 0 has the oldest guesses, one for each of the places 1 to `width` - 1 behind the last token of the text, which
    is its column 0. The token in row r and column c stands r + c places behind that token, and was computed after the
    one above it in the step before. Each column with what the target now says after its last row is an n-gram.

    As the attention of each token goes to row 0 up to its column, and then down the column, the window is a tree: row 0
    is a chain, and each column hangs on it.
    """

    def __init__(self, *, width: int, ngram: int, seed: int, text: Sequence[int]) -> None:
        """Start with tokens of the text in row 0; the other rows come in the next `ngram` - 2 steps.

        Args:
            width: columns.
            ngram: tokens of an n-gram; there is one row fewer.
            seed: of the choice of tokens.
            text: what the window is behind.
        """
        assert width >= 1, "a window has a column"
        assert ngram >= 2, "a window has a row"
        self._ngram = ngram
        pick = random.Random(seed)
        # One column is lost in each step until all rows are there.
        self.rows: list[list[int]] = [[pick.choice(text) for _ in range(width + ngram - 3)]]
        """Row 0 from column 1 on, the others from column 0 on."""

    @property
    def filled(self) -> bool:
        """Whether all rows are there."""
        return len(self.rows) == self._ngram - 1

    @property
    def columns(self) -> int:
        """Columns, that of the text's last token included."""
        return len(self.rows[0]) + 1

    @property
    def tree(self) -> TokenTree:
        """Its tokens: row 0, then the rest of each column."""
        row = self.rows[0]
        tokens, parents = list(row), list(range(-1, len(row) - 1))
        for column in range(self.columns):
            above = column - 1
            for one in self.rows[1:]:
                tokens.append(one[column])
                parents.append(above)
                above = len(tokens) - 1
        return TokenTree(tuple(tokens), tuple(parents))

    def step(self, last: int, own: Sequence[int]) -> list[tuple[int, ...]]:
        """One step of the iteration; the n-grams that it gave.

        Args:
            last: the last token of the text that the window was behind.
            own: the target's token after the text, and then after each node of `tree`.
        """
        said = [self._below(column, own) for column in range(self.columns)]
        if not self.filled:
            # All places move by one, and so does the text.
            self.rows = [*(row[1:] for row in self.rows), said[1:]]
            return []
        grams = [
            (self.rows[0][column - 1] if column else last, *(row[column] for row in self.rows[1:]), said[column])
            for column in range(self.columns)
        ]
        # The rows move up: the oldest guesses are given up.
        below = [*self.rows[1:], said]
        self.rows = [below[0][1:], *below[1:]]
        return grams

    def _below(self, column: int, own: Sequence[int]) -> int:
        """What the target says after the last row of a column."""
        depth = len(self.rows) - 1
        node = len(self.rows[0]) + (column + 1) * depth - 1 if depth else column - 1
        return own[node + 1]
