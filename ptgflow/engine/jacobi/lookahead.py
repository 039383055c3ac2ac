"""Lookahead decoding: a window of parallel iterations fills a pool of n-grams, and the pool drafts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.growth.builder import Candidates, TreeBuilder, Wanted
from ptgflow.engine.growth.tree_drafter import GRADES, TreeDrafter
from ptgflow.engine.jacobi.pool import Pool
from ptgflow.engine.jacobi.window import Window
from ptgflow.engine.request import Ask, Proposal
from ptgflow.engine.trees import EMPTY, TokenTree


@dataclass(slots=True)
class _Row:
    """One row's window and pool."""

    pool: Pool
    window: Window
    last: int | None = None
    """The last token of the text whose window is being verified; None: none is."""
    guessed: TokenTree = EMPTY
    """What the pool drafted for the pass."""
    taken: int = 0
    """How much of the text is in the pool."""


@final
class LookaheadDrafter(TreeDrafter):
    """Fu et al., arXiv 2402.02057, algorithm 2: one pass steps the window and verifies what the pool has.

    The window's tokens are nodes of the tree that is verified, where most of them are wrong. They are held, as they are
    verified for what comes after them; one that happens to be right is kept like any other.
    """

    taps: tuple[int, ...] = ()

    def __init__(
        self,
        builder: TreeBuilder,
        *,
        size: int,
        width: int,
        ngram: int,
        guesses: int,
        from_text: bool = False,
        least: float = 0.0,
    ) -> None:
        """Make a drafter.

        Args:
            builder: the shape of the trees of what the pool has.
            size: most nodes of a tree, those of the window included.
            width: columns of the window (W).
            ngram: tokens of an n-gram (N).
            guesses: most n-grams of the pool with one first token (G).
            from_text: whether n-grams of the text are in the pool, too.
            least: guesses of a smaller chance are not drafted.
        """
        super().__init__(builder, size=size, least=least)
        self._shape = width, ngram, guesses
        self._from_text = from_text
        self._rows: dict[int, _Row] = {}

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Nothing to do: the text comes with each question."""

    def fork(self, row: int, source: int, length: int) -> None:
        """Nothing to do: a row has a window of its own."""

    def forget(self, row: int) -> None:
        """Drop the row's window and pool."""
        self._rows.pop(row, None)

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        """For each row its window, and in the room that is left a tree of what the pool has.

        The window rests where the answer has less room than it.
        """
        windows: list[TokenTree] = []
        guessing: list[Ask] = []
        for ask in asks:
            row = self._row(ask)
            window, room = row.window.tree, min(ask.limit, self._size)
            row.last = ask.context[-1] if len(window) <= room else None
            windows.append(EMPTY if row.last is None else window)
            if len(windows[-1]) < room:
                guessing.append(replace(ask, limit=room - len(windows[-1])))
        drafts = dict(zip((ask.row for ask in guessing), super().propose(guessing), strict=True))
        found: list[Proposal] = []
        for ask, window in zip(asks, windows, strict=True):
            guesses = drafts.get(ask.row, Proposal(tree=EMPTY))
            self._rows[ask.row].guessed = guesses.tree
            found.append(_joined(guesses, window))
        return found

    def _row(self, ask: Ask) -> _Row:
        width, ngram, guesses = self._shape
        row = self._rows.get(ask.row)
        if row is None:
            window = Window(width=width, ngram=ngram, seed=ask.seed, text=ask.context)
            row = self._rows[ask.row] = _Row(Pool(ngram=ngram, guesses=guesses), window)
        if self._from_text:
            for end in range(max(row.taken + 1, ngram), len(ask.context) + 1):
                row.pool.add(ask.context[end - ngram : end])
            row.taken = len(ask.context)
        return row

    def ready(self, asks: Sequence[Ask]) -> list[bool]:
        return [True for _ in asks]

    def expand(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> list[list[Candidates]]:
        return [
            [
                self._rows[asks[at].row].pool.candidates(
                    asks[at].context[-1], [one.tree.tokens[step] for step in one.tree.path(node)], self.width
                )
                for node in one.nodes
            ]
            for at, one in wanted
        ]

    def answered(self, row: int, tree: TokenTree, own: Sequence[int]) -> None:
        """Step the window by what the target said after its nodes, wherever they are in the tree."""
        known = self._rows.get(row)
        if known is None or known.last is None:
            return
        window, last, known.last = known.window.tree, known.last, None
        places = window.within(tree)
        if len(places) == len(window) + 1:  # Else others have drafted so much that it was not verified as a whole.
            for gram in known.window.step(last, [own[place + 1] for place in places.values()]):
                known.pool.add(gram)

    def judged(self, row: int, tree: TokenTree, path: Sequence[int]) -> None:
        """Learn what became of the pool's part."""
        places = sorted(self._rows[row].guessed.within(tree).values())[1:]
        kept = {node: at for at, node in enumerate(places)}
        super().judged(row, tree.restricted(places), [kept[node] for node in path if node in kept])


def _joined(guesses: Proposal, window: TokenTree) -> Proposal:
    """One tree of both. What is in it for the window alone has a grade of its own."""
    tokens, parents, grades = list(guesses.tree.tokens), list(guesses.tree.parents), list(guesses.grades)
    places = {(parent, token): node for node, (parent, token) in enumerate(zip(parents, tokens, strict=True))}
    at, held = {-1: -1}, set[int]()
    for node, (token, above) in enumerate(zip(window.tokens, window.parents, strict=True)):
        parent = at[above]
        if (parent, token) not in places:
            places[parent, token] = len(tokens)
            tokens.append(token)
            parents.append(parent)
            grades.append(GRADES)
        at[node] = places[parent, token]
        held.add(at[node])
    return Proposal(tree=TokenTree(tuple(tokens), tuple(parents)), grades=tuple(grades), held=frozenset(held))
