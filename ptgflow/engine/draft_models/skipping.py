"""The target without some of its layers as its own draft model; which ones is searched while texts grow."""

import random
from collections.abc import Sequence
from typing import Final, final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.draft_models.drafter import ModelDrafter
from ptgflow.engine.draft_models.parts import part_of
from ptgflow.engine.growth.builder import TreeBuilder
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import Ask, Proposal
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree

_WINDOW: Final = 32
"""Tokens of a text on which choices are compared (SWIFT, section 4.1: the context window of the search)."""
_EVERY: Final = 4
"""Rounds between two tries."""


@final
class SkippingDrafter:
    """Keeps the first and the last layer, and leaves out a share of the others, at first evenly spaced.

    Every few rounds it tries another choice: on the last tokens of a text it counts how often the part's likeliest
    token is the one that the target wrote, and goes on with the better of the two (SWIFT, arXiv 2410.06916, 4.1).
    """

    taps: tuple[int, ...] = ()

    def __init__(
        self,
        model: LoadedModel,
        builder: TreeBuilder,
        *,
        size: int,
        skip: float,
        search: int,
        least: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Start with evenly spaced layers left out.

        Args:
            model: the target.
            builder: the shape of the trees.
            size: most nodes of a tree.
            skip: share of the layers that is left out.
            search: how many other choices are tried.
            least: candidates of a smaller chance are not drafted.
            seed: of the search.
        """
        self._model, self._builder, self._size, self._least = model, builder, size, least
        self._left = search
        self._rounds = 0
        self._random = random.Random(seed)
        middle = list(range(1, model.layers - 1))
        count = min(round(skip * model.layers), len(middle))
        step = len(middle) / count if count else 0.0
        self.skipped: frozenset[int] = frozenset(middle[int(step * at)] for at in range(count))
        self._drafter = self._made(self.skipped)

    def _made(self, skipped: frozenset[int]) -> ModelDrafter:
        kept = [layer for layer in range(self._model.layers) if layer not in skipped]
        run = part_of(self._model, kept)
        vocabulary = self._model.vocab_size
        return ModelDrafter(run, self._builder, size=self._size, vocabulary=vocabulary, least=self._least)

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Pass on."""
        self._drafter.read(row, tokens, states)

    def judged(self, row: int, tree: TokenTree, path: Sequence[int]) -> None:
        """Pass on."""
        self._drafter.judged(row, tree, path)

    def fork(self, row: int, source: int, length: int) -> None:
        """Pass on."""
        self._drafter.fork(row, source, length)

    def forget(self, row: int) -> None:
        """Pass on."""
        self._drafter.forget(row)

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        """Draft, and now and then try another choice on the longest answer."""
        self._rounds += 1
        if self._left and self._rounds % _EVERY == 0 and self.skipped:
            longest = max(asks, key=lambda ask: ask.written)
            if longest.written > _WINDOW:
                self._try(longest)
        return self._drafter.propose(asks)

    def _try(self, ask: Ask) -> None:
        self._left -= 1
        others = [layer for layer in range(1, self._model.layers - 1) if layer not in self.skipped]
        if not others:
            return
        out, back = self._random.choice(others), self._random.choice(sorted(self.skipped))
        changed = (self.skipped - {back}) | {out}
        if self._agreement(changed, ask.context) > self._agreement(self.skipped, ask.context):
            self.skipped = changed
            # What the old choice has read is of no use to the new one; each row is read again when it drafts next.
            self._drafter = self._made(changed)

    def _agreement(self, skipped: frozenset[int], context: Sequence[int]) -> int:
        """Of the last tokens of a text those that a choice foresees."""
        kept = [layer for layer in range(self._model.layers) if layer not in skipped]
        run = part_of(self._model, kept)
        row = run.cache.admit()
        start = max(len(context) - 4 * _WINDOW, 0)
        window = min(_WINDOW, len(context) - start - 1)
        before = context[start : len(context) - window - 1]
        if before:
            run([RowInput(row=row, tokens=tuple(before), wanted=False)])
            run.cache.commit({row: range(len(before))})
        tail = context[len(context) - window - 1 :]
        tree = TokenTree.chain(tail[1:-1])
        foreseen = run([RowInput(row=row, tokens=(tail[0],), tree=tree)]).argmax(dim=-1).tolist()
        return sum(one == other for one, other in zip(foreseen, tail[1:], strict=True))
