"""What a caller of a pass feeds to one row."""

from dataclasses import dataclass

from ptgflow.engine.trees import EMPTY, TokenTree


@dataclass(frozen=True, slots=True, kw_only=True)
class RowInput:
    """What the caller feeds to one row."""

    row: int
    tokens: tuple[int, ...]
    """The next tokens of the row's text, at least one."""
    tree: TokenTree = EMPTY
    """Proposals for what follows them."""
    again: int = 0
    """How many of these, tokens and then nodes, the pass before has written, with nothing kept of it since: a tree that
    grows level by level is computed node by node. They are seen, and have no line in what the pass gives."""
    mutual: bool = False
    """Whether the nodes are places of a canvas: each sees all of them, and not only those before it.

    The first nodes are a chain, the canvas as it stands. Those that branch off from it are places once more, each
    branch a chain of its own: its nodes see each other in place of those of the canvas at their depths, and nobody else
    sees them.
    """
    wanted: bool = True
    """Whether logits are wanted: after the last of `tokens` and after each node. Not while a prompt is being read."""
