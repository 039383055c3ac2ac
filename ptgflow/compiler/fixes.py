"""Edits that would work: variants of a rejected flow, each checked by the compiler's own rules before it is offered."""

from collections.abc import Iterator, Sequence

from ptgflow.compiler.matrix import bridged, composes
from ptgflow.compiler.typing import best, walks
from ptgflow.contracts import BRIDGES, PARADIGMS, Paradigm, Prompt
from ptgflow.dsl import Stage
from ptgflow.dsl.text import render_flow
from ptgflow.graph.ir import Node


def legal(nodes: Sequence[Node], *, pairs: str = "path") -> bool:
    """Whether a chain of stages fits kind by kind, pair by pair, and in its forks and joins."""
    if not nodes or any(node.paradigm is None for node in nodes):
        return False
    depth = 0
    for node in nodes:
        depth += {Paradigm.DECOMPOSE: 1, Paradigm.MERGE: -1}.get(node.paradigm or Paradigm.EDIT, 0)
        if depth not in (0, 1):
            return False
    path = [node.paradigm for node in nodes]
    if pairs == "path" and not all(
        composes(one, two) or bridged(path, at, index)
        for index, one in enumerate(path)
        for at, two in enumerate(path[:index])
        if one and two
    ):
        return False
    if unwritten(nodes) is not None:
        return False
    return best(walks([node.contract for node in nodes])).ok


def unwritten(nodes: Sequence[Node]) -> int | None:
    """Where a bridge stands although no stage before it writes; None: nowhere."""
    begun = (at for at, node in enumerate(nodes) if node.paradigm not in (Paradigm.DECOMPOSE, Paradigm.MERGE))
    first = next(begun, None)
    return first if first is not None and nodes[first].paradigm in BRIDGES else None


def _with_bridge(nodes: tuple[Node, ...], at: int) -> Iterator[tuple[str, tuple[Node, ...]]]:
    """A bridge right before the stage `at`."""
    taken = {node.slot for node in nodes}
    for bridge in BRIDGES:
        # A flow may name a bridge without declaring it, as long as nothing else has its name.
        names = (str(bridge), *(f"{bridge}_{number}" for number in range(2, len(taken) + 3)))
        slot = next(name for name in names if name not in taken)
        method = f"{bridge}/{PARADIGMS[bridge].default}"
        told = method if slot == bridge else f"stages.{slot}, {method}"
        added = Node(slot=slot, stage=Stage(bridge, slot=slot))
        yield f"bridge them ({told})", (*nodes[:at], added, *nodes[at:])


def _variants(nodes: tuple[Node, ...], at: int) -> Iterator[tuple[str, tuple[Node, ...]]]:
    """Small edits around the stage `at`, the least invasive first."""
    if at > 0:
        swapped = (*nodes[: at - 1], nodes[at], nodes[at - 1], *nodes[at + 1 :])
        yield "change the order", swapped
        yield from _with_bridge(nodes, at)
        yield f"leave {nodes[at - 1].slot!r} out", (*nodes[: at - 1], *nodes[at:])
    yield f"leave {nodes[at].slot!r} out", (*nodes[:at], *nodes[at + 1 :])
    for index in range(len(nodes)):
        if index not in (at, at - 1):
            yield f"leave {nodes[index].slot!r} out", (*nodes[:index], *nodes[index + 1 :])
    for index in range(len(nodes)):
        rest = (*nodes[:index], *nodes[index + 1 :])
        yield f"move {nodes[index].slot!r} to the end", (*rest, nodes[index])
    for kept in range(len(nodes), 0, -1):
        yield "keep the beginning alone", nodes[:kept]
    for node in nodes:
        yield f"keep {node.slot!r} alone", (node,)


def repair(nodes: tuple[Node, ...], at: int, *, pairs: str = "path", keep_prompt: bool = True) -> str:
    """The nearest flow that compiles, as `help:` text; empty when no small edit gives one.

    Args:
        nodes: the written stages, without those that the compiler implied.
        at: the stage at which the problem was found.
        pairs: as in `compile.pairs`.
        keep_prompt: prefer a flow that still starts from a prompt, if the old one was meant to.
    """
    fallback = ""
    for how, variant in _variants(nodes, at):
        if variant == nodes or not legal(variant, pairs=pairs):
            continue
        text = f"{how}:  flow: {render_flow(tuple(node.slot for node in variant))}"
        starts = [walk.start for walk in walks([node.contract for node in variant]) if walk.ok]
        if not keep_prompt or Prompt in starts:
            return text
        fallback = fallback or text
    return fallback
