"""What a graph may look like after each pass: one table, checked by the driver between passes.

A breach is a mistake in the compiler, not in the recipe (PTG901).
"""

from collections.abc import Callable

from ptgflow.contracts import Paradigm, Shape
from ptgflow.graph.ir import Graph, Node

Breach = str | None
"""What is wrong with a node, in words; None when nothing is."""


def _named(node: Node) -> Breach:
    return None if node.slot.isidentifier() else f"slot {node.slot!r} is no identifier"


def _bound(node: Node) -> Breach:
    if node.paradigm is Paradigm.MERGE:
        return None if node.spec is None else "a merge has a method"
    complete = node.spec is not None and node.options is not None and node.card is not None
    return None if complete else f"{node} has no method, options or model"


def _enclosed(node: Node) -> Breach:
    if node.paradigm is Paradigm.MERGE and node.region is None:
        return f"{node} closes nothing"
    return None


def _typed(node: Node) -> Breach:
    if node.takes is None or node.leaves is None:
        return f"{node} has an edge without type"
    contract = node.contract
    assert contract is not None, "a bound stage has a contract"
    if contract.result(node.takes.kind) is not node.leaves.kind:
        return f"{node} takes {node.takes} and leaves {node.leaves}, against its contract {contract}"
    opens = contract.shape is Shape.FORK
    if opens != (node.leaves.branched and not node.takes.branched):
        return f"{node} changes the number of segments, against its contract"
    return None


def _fused(node: Node) -> Breach:
    if node.fused_into and node.paradigm not in (Paradigm.MTP, Paradigm.MASKED):
        return f"{node} drafts nothing, but shares a loop with {node.fused_into!r}"
    return None


RULES: dict[str, tuple[Callable[[Node], Breach], ...]] = {
    "lower": (_named,),
    "resolve": (_named, _bound),
    "lift": (_named, _bound, _enclosed),
    "infer": (_named, _bound, _enclosed, _typed),
    "check": (_named, _bound, _enclosed, _typed),
    "fuse": (_named, _bound, _enclosed, _typed, _fused),
}
"""Pass name -> what holds for every node after it, for a recipe without errors."""


def breaches(name: str, graph: Graph) -> tuple[str, ...]:
    """What breaks the rules of the level that the pass `name` leads to."""
    found = [rule(node) for rule in RULES[name] for node in graph]
    edges = [] if name == "lower" or len(graph.nodes) == len(graph.digraph) - 2 else ["stages were lost"]
    return (*(one for one in found if one is not None), *edges)
