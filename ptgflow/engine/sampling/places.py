"""What the rows of a decoding loop ask about the logits of a pass, and which line of logits belongs to what."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from ptgflow.contracts.settings import Sampling
from ptgflow.engine.randomness import Purpose, uniform
from ptgflow.engine.sampling.history import History
from ptgflow.engine.trees import TokenTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What one row asks about the logits of a pass."""

    sampling: Sampling
    seed: int
    history: History
    """Of the text in front of the tree. It is extended only when nothing more is asked about the pass."""
    tree: TokenTree
    """The proposals. There is a line of logits after the text, and one after each node."""
    start: int
    """The position in the answer of the first proposal, which is the number of tokens written so far."""
    draws: bool
    """Whether the row's own draw is wanted on every line. At temperature 0 its likeliest token always is."""
    allowed: Bool[Tensor, " vocab"] | None = None
    """Which tokens may come after the text; None: all. Only of a row without proposals."""

    def __post_init__(self) -> None:
        assert self.allowed is None or not len(self.tree), "what may come after a proposal is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of logits: what is predicted after the text, or after a node of its tree."""

    place: Place
    node: int
    """-1: after the text."""
    position: int
    """Of the predicted token in the answer; the nodes of one depth share it, and so its uniform number."""

    @property
    def path(self) -> tuple[int, ...]:
        """The proposals between the text and what is predicted."""
        tree = self.place.tree
        return tuple(tree.tokens[node] for node in tree.path(self.node))

    @property
    def uniform(self) -> float:
        """The number that decides the row's own draw."""
        return uniform(self.place.seed, self.position, Purpose.DRAW)


def lines_of(places: Sequence[Place]) -> tuple[list[int], list[Line]]:
    """The first line of each place, and all lines in their order."""
    offsets: list[int] = []
    lines: list[Line] = []
    for place in places:
        offsets.append(len(lines))
        lines.append(Line(place=place, node=-1, position=place.start))
        for node, depth in enumerate(place.tree.depths):
            lines.append(Line(place=place, node=node, position=place.start + depth + 1))
    return offsets, lines
