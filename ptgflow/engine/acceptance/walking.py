"""Walk down a tree of proposals beside the target's own tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ptgflow.engine.trees import TokenTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the target said of a tree of proposals."""

    path: tuple[int, ...]
    """The nodes that are kept, from the text downwards; empty where nothing is kept."""
    token: int
    """What the target writes after them: a correction, or the bonus token at the end of a branch."""


def descend(tree: TokenTree, own: Callable[[int], int]) -> Judged:
    """Go down to the child that equals the target's own token, as long as there is one.

    `own(0)` is the target's token after the text and `own(node + 1)` the one after that node; it is asked only for the
    places that are come by. Of equal siblings the one proposed first is taken.
    """
    children = tree.children
    path: list[int] = []
    at = 0
    while True:
        token = own(at)
        following = next((node for node in children[at] if tree.tokens[node] == token), None)
        if following is None:
            return Judged(path=tuple(path), token=token)
        path.append(following)
        at = following + 1


def walk(tree: TokenTree, targets: Sequence[int]) -> Judged:
    """Keep proposals as long as they are the target's own token: its likeliest one at temperature 0, or its own draw.

    Args:
        tree: the proposals.
        targets: the target's token after the text, and then after each node.
    """
    assert len(targets) == len(tree) + 1, "the target has a token for each node and one for the text"
    return descend(tree, targets.__getitem__)
