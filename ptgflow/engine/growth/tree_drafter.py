"""What drafters of trees have in common: a tree for each row, grown in step, of what may follow each node."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final

from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.engine.growth.builder import Candidates, Grown, TreeBuilder, Wanted
from ptgflow.engine.growth.shaped import Sequoia
from ptgflow.engine.growth.together import grow_together
from ptgflow.engine.request import Ask, Proposal
from ptgflow.engine.trees import EMPTY, TokenTree

GRADES = 12
"""Classes of nodes by how sure the drafter is of them: enough to tell what pays, few enough to be learnt soon."""
NOTHING: Final = Candidates((), ())
"""What may follow a node that the drafter does not foresee."""


class TreeDrafter(ABC):
    """A joint drafter that can say what may follow any node."""

    def __init__(self, builder: TreeBuilder, *, size: int, least: float = 0.0) -> None:
        """Make a drafter.

        Args:
            builder: the shape of the trees.
            size: most nodes of a tree.
            least: candidates of a smaller chance are not drafted.
        """
        self._builder = builder
        self._size = size
        self._least = least
        self.source = ""
        """Where weights that are its own are from; see `Trained`."""
        self.echoes = True
        """Whether a token may be drafted behind itself. Heads that do not see one another's tokens write them twice,
        the commonest fault of writing several at once (Gu et al., arXiv 1711.02281); where nobody judges what is
        drafted, such a place is left to the target."""

    @property
    def width(self) -> int:
        """How many candidates of a node the builder looks at."""
        return self._builder.width

    @abstractmethod
    def ready(self, asks: Sequence[Ask]) -> list[bool]:
        """Bring rows up to what the target has read; which of them can draft."""

    @abstractmethod
    def expand(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> list[list[Candidates]]:
        """The candidates of nodes, for rows by their place in `asks`."""

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        """A tree for each row that can draft."""
        ready = self.ready(asks)
        able = [ask for ask, is_ready in zip(asks, ready, strict=True) if is_ready]
        trees = iter(
            grow_together(
                self._builder,
                [min(ask.limit, self._size) for ask in able],
                lambda wanted: self.expand(able, wanted),
                least=self._least,
            )
        )
        self.settled(able)
        return [
            _proposal(self._heard(next(trees), ask)) if is_ready else Proposal(tree=EMPTY)
            for ask, is_ready in zip(asks, ready, strict=True)
        ]

    def _heard(self, grown: Grown, ask: Ask) -> Grown:
        return grown if self.echoes else without_echoes(grown, ask.context[-1])

    def settled(self, asks: Sequence[Ask]) -> None:
        """The trees of these rows are complete: nothing more is wanted in this round."""

    def judged(self, row: int, tree: TokenTree, path: Sequence[int]) -> None:
        """Learn what became of a proposal."""
        del row
        if isinstance(self._builder, Sequoia):
            self._builder.learn(tree, path)


def _proposal(grown: Grown) -> Proposal:
    return Proposal(tree=grown.tree, grades=tuple(min(int(chance * GRADES), GRADES - 1) for chance in grown.chances))


def without_echoes(grown: Grown, before: int) -> Grown:
    """A tree without nodes that repeat the token which they follow, and without what is behind them.

    Args:
        grown: the tree.
        before: the last token of the text.
    """
    tree, nodes = grown.tree, list[int]()
    for node, (token, parent) in enumerate(zip(tree.tokens, tree.parents, strict=True)):
        last = before if parent < 0 else tree.tokens[parent]
        if token != last and (parent < 0 or parent in nodes):
            nodes.append(node)
    return Grown(tree.restricted(nodes), tuple(grown.survival[node] for node in nodes))


def candidates_of(
    logits: Float[Tensor, "nodes draft_vocab"], vocabulary: Int[Tensor, " draft_vocab"], width: int
) -> list[Candidates]:
    """The likeliest tokens of each line, with their probabilities among those that can be drafted."""
    chances, at = logits.float().softmax(dim=-1).topk(min(width, logits.shape[-1]), dim=-1)
    tokens = vocabulary[at].tolist()
    return [Candidates(tuple(ids), tuple(shares)) for ids, shares in zip(tokens, chances.tolist(), strict=True)]


def by_level(
    ahead: Mapping[int, Sequence[Candidates]], asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]
) -> list[list[Candidates]]:
    """What `expand` gives where candidates follow from a node's level alone.

    Args:
        ahead: row -> the candidates of each level; deeper nodes have none.
        asks: the rows.
        wanted: what is wanted, each with its place among the rows.
    """
    found: list[list[Candidates]] = []
    for at, one in wanted:
        levels, depths = ahead[asks[at].row], one.tree.depths
        own = [depths[node] + 1 if node >= 0 else 0 for node in one.nodes]
        found.append([levels[level] if level < len(levels) else NOTHING for level in own])
    return found
