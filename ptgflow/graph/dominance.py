"""Which fork encloses a node. Pure, and generic over the node: knows networkx and nothing above it.

A fork encloses a node when every path from the start to the node goes through the fork (it dominates the node) and no
join has closed it in between.
"""

from collections.abc import Collection, Hashable
from typing import TypeVar

import networkx as nx

N = TypeVar("N", bound=Hashable)


def open_forks(
    digraph: "nx.DiGraph[N]", start: N, *, forks: Collection[N], joins: Collection[N]
) -> dict[N, tuple[N, ...]]:
    """The forks open at each node, outermost first.

    A join still counts as enclosed by the fork that it closes; a join with no fork open closes nothing.

    Args:
        digraph: acyclic, every node reachable from `start`.
        start: the only node without predecessors.
        forks: nodes that open a region behind them.
        joins: nodes that close the innermost region.
    """
    dominator = nx.immediate_dominators(digraph, start)
    opened: dict[N, tuple[N, ...]] = {start: ()}
    for node in nx.topological_sort(digraph):
        if node == start:
            continue
        above = dominator[node]
        stack = opened[above]
        if above in forks:
            stack = (*stack, above)
        elif above in joins:
            stack = stack[:-1]
        opened[node] = stack
    return opened
