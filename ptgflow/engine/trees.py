"""Token trees: several continuations of one text that share what they have in common. A chain is the narrowest tree."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class TokenTree:
    """Tokens that may follow a text. Node i follows node `parents[i]`, and a node with parent -1 follows the text.

    Parents stand before their children. Siblings stand in the order in which they were proposed, which is the order in
    which rules that judge one after the other take them.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]

    def __post_init__(self) -> None:
        assert len(self.tokens) == len(self.parents), "every node has a parent"
        assert all(-1 <= parent < node for node, parent in enumerate(self.parents)), "parents stand before children"

    @staticmethod
    def chain(tokens: Sequence[int]) -> "TokenTree":
        """Tokens one after the other."""
        return TokenTree(tuple(tokens), tuple(range(-1, len(tokens) - 1)))

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def is_chain(self) -> bool:
        """Whether every node follows the one before it."""
        return all(parent == node - 1 for node, parent in enumerate(self.parents))

    @property
    def depths(self) -> tuple[int, ...]:
        """How many nodes stand between each node and the text: 0 for those that follow it directly."""
        found: list[int] = []
        for parent in self.parents:
            found.append(0 if parent < 0 else found[parent] + 1)
        return tuple(found)

    @property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The children of the text (index 0) and of each node (index node + 1), in the order of proposal."""
        found: list[list[int]] = [[] for _ in range(len(self) + 1)]
        for node, parent in enumerate(self.parents):
            found[parent + 1].append(node)
        return tuple(map(tuple, found))

    def path(self, node: int) -> tuple[int, ...]:
        """The nodes from the text down to `node`, `node` included; empty for -1."""
        return tuple(reversed(tuple(self._upwards(node))))

    def restricted(self, nodes: Sequence[int]) -> "TokenTree":
        """The tree of some of its nodes, in ascending order; with each of them its parent is kept."""
        place: Final = {node: at for at, node in enumerate(nodes)} | {-1: -1}
        return TokenTree(tuple(self.tokens[node] for node in nodes), tuple(place[self.parents[node]] for node in nodes))

    def within(self, whole: "TokenTree") -> dict[int, int]:
        """Where its nodes are in another tree: those that are there with all nodes above them. -1 is at -1."""
        pairs = zip(whole.parents, whole.tokens, strict=True)
        found: Final = {pair: node for node, pair in enumerate(pairs)}
        places = {-1: -1}
        for node, (parent, token) in enumerate(zip(self.parents, self.tokens, strict=True)):
            place = found.get((places[parent], token)) if parent in places else None
            if place is not None:
                places[node] = place
        return places

    def _upwards(self, node: int) -> Iterator[int]:
        while node >= 0:
            yield node
            node = self.parents[node]


EMPTY: Final = TokenTree((), ())
"""Nothing is proposed."""
