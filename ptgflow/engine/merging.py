"""Proposals of several drafters for one row become one tree."""

from collections.abc import Sequence
from typing import Final

from ptgflow.engine.request import Proposal
from ptgflow.engine.trees import TokenTree

_GRADES: Final = 64
"""More than any drafter has."""


def merged(proposals: Sequence[Proposal], *, limit: int) -> Proposal:
    """One tree with the nodes of all; a token that several have at one place is one node.

    What is held stays held. A node's grade tells which drafter proposed it, or that several did, and what that drafter
    thought of it. Where all are too many, those that are held come first, and the others in turn, each drafter's in its
    own order.

    Nodes that were drawn lose their laws: each counts as proposed for certain. That keeps the law of the text, because
    it does so for every tree, and the numbers that judge a tree are free of those that drew it.
    """
    tokens: list[int] = []
    parents: list[int] = []
    grades: list[int] = []
    owners: list[set[int]] = []
    places: dict[tuple[int, int], int] = {}
    held: set[int] = set()
    at: list[dict[int, int]] = [{-1: -1} for _ in proposals]
    for node, number in _in_turn(proposals):
        one = proposals[number]
        if one.tree.parents[node] not in at[number]:
            continue
        parent = at[number][one.tree.parents[node]]
        key = parent, one.tree.tokens[node]
        if key not in places:
            if len(tokens) == limit:
                continue
            places[key] = len(tokens)
            tokens.append(one.tree.tokens[node])
            parents.append(parent)
            grades.append(number * _GRADES + (one.grades[node] if one.grades else 0))
            owners.append(set())
        at[number][node] = places[key]
        owners[places[key]].add(number)
        if node in one.held:
            held.add(places[key])
    several = len(proposals) * _GRADES
    return Proposal(
        tree=TokenTree(tuple(tokens), tuple(parents)),
        grades=tuple(several + grade if len(who) > 1 else grade for grade, who in zip(grades, owners, strict=True)),
        held=frozenset(held),
    )


def _in_turn(proposals: Sequence[Proposal]) -> list[tuple[int, int]]:
    """All nodes with the numbers of their proposals, parents first: those that are held, then the others in turn."""
    nodes = [(node, number) for number, one in enumerate(proposals) for node in range(len(one.tree))]
    return sorted(nodes, key=lambda pair: (pair[0] not in proposals[pair[1]].held, pair))
