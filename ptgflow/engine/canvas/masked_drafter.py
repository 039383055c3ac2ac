"""A masked model as drafter: the target's own text, a block of holes behind it, and one pass that foresees them all.

SpecDiff (arXiv 2408.05636) drafts with a masked diffusion model and verifies with an autoregressive one. Here both are
one network: the block reads the keys and values that the target keeps of the text, so nothing is read twice. The first
place is what the target itself says next; the others are foreseen independently of each other, so a tree branches at
every level by the likeliest tokens of that place.
"""

from collections.abc import Sequence
from typing import final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.gated_pass import GatedPass
from ptgflow.engine.growth import Candidates, TreeBuilder, Wanted
from ptgflow.engine.growth.tree_drafter import TreeDrafter, candidates_of
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import Ask
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree

_NOTHING = Candidates((), ())


@final
class MaskedDrafter(TreeDrafter):
    """Places attend to the keys and values that the target keeps, and leave theirs in scratch behind them."""

    taps: tuple[int, ...] = ()

    def __init__(
        self, heads: Heads, model: LoadedModel, builder: TreeBuilder, *, size: int, least: float = 0.0
    ) -> None:
        """Lay out the adapters.

        Args:
            heads: of kind `masked`.
            model: the target.
            builder: the shape of the trees.
            size: most nodes of a tree.
            least: candidates of a smaller chance are not drafted.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out.
        """
        super().__init__(builder, size=size, least=least)
        self._pass = GatedPass(heads, model)
        self._vocabulary = heads.vocabulary.to(model.device)
        # A tree of so many nodes has no more levels.
        self._places = min(heads.config.block_length or 1, size)
        self._ahead: dict[int, list[Candidates]] = {}
        """Row -> in this round the candidates of each place."""

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Nothing to do: what the target has read is in its slots."""

    def fork(self, row: int, source: int, length: int) -> None:
        """Nothing to do."""

    def forget(self, row: int) -> None:
        """Drop the row's candidates."""
        self._ahead.pop(row, None)

    def ready(self, asks: Sequence[Ask]) -> list[bool]:
        """Foresee the blocks of all rows in one pass."""
        self._ahead = {}
        known = [(ask, ask.place) for ask in asks if ask.place is not None]
        for cache in {id(place.cache): place.cache for _, place in known}.values():
            mine = [(ask, place) for ask, place in known if place.cache is cache]
            holes = TokenTree.chain([self._pass.hole] * (self._places - 1))
            # The target has not read its last token yet: it is read here, too, and what it leaves is scratch.
            inputs = [
                RowInput(row=place.row, tokens=(ask.context[-1],), tree=holes, mutual=True) for ask, place in mine
            ]
            logits = self._pass(cache, inputs)
            found = candidates_of(logits, self._vocabulary, self._builder.width)
            for number, (ask, _) in enumerate(mine):
                self._ahead[ask.row] = found[number * self._places : (number + 1) * self._places]
        return [ask.row in self._ahead for ask in asks]

    def expand(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> list[list[Candidates]]:
        found: list[list[Candidates]] = []
        for at, one in wanted:
            ahead, depths = self._ahead[asks[at].row], one.tree.depths
            levels = [depths[node] + 1 if node >= 0 else 0 for node in one.nodes]
            found.append([ahead[level] if level < len(ahead) else _NOTHING for level in levels])
        return found
