"""Pass 4, infer: put a type on every edge, and report where two stages do not fit.

before   split -> write [in split] -> merge
after    split: Prompt -> Branches[Prompt];  write: Branches[Prompt] -> Branches[Draft];  merge: ... -> Draft
"""

from dataclasses import replace

from ptgflow.compiler.fixes import repair
from ptgflow.compiler.matrix import composes
from ptgflow.compiler.source import Context
from ptgflow.compiler.typing import STARTS, Walk, best, walks
from ptgflow.contracts import PARADIGMS, Canvas, FlowType, Paradigm, Prompt, Segment, Shape
from ptgflow.contracts.contract import names
from ptgflow.diagnostics.codes import graph as graph_codes
from ptgflow.diagnostics.codes import kinds as codes
from ptgflow.graph.ir import Graph, Node


def starts(graph: Graph) -> tuple[type[Segment], ...]:
    """The kinds of input that the flow can start from."""
    return tuple(found.start for found in walks([node.contract for node in graph]) if found.ok)


def infer(graph: Graph, context: Context) -> Graph:
    """Type the edges along the best start; where nothing fits, report the misfits of the one that comes nearest."""
    nodes = graph.nodes
    found = best(walks([node.contract for node in nodes]))
    for index in found.misfits:
        _report_misfit(nodes, index, found, context)
    if found.end is not None and issubclass(found.end, Canvas):
        context.report.add(
            codes.UNFILLED_CANVAS(
                context.source.locate("flow"),
                last=nodes[-1],
                hint="end the flow with a Masked stage that fills the holes",
            )
        )
    typed = {node.slot: _typed(node, *kinds) for node, kinds in zip(nodes, _edges(found), strict=True)}
    return graph.map(lambda node: typed[node.slot])


def _edges(found: Walk) -> list[tuple[type[Segment] | None, type[Segment] | None]]:
    return list(zip(found.taken, found.left, strict=True))


def _typed(node: Node, taken: type[Segment] | None, left: type[Segment] | None) -> Node:
    shape = node.contract.shape if node.contract else Shape.PLAIN
    inside = node.region is not None
    return replace(
        node,
        takes=FlowType(kind=taken, branched=inside) if taken else None,
        leaves=FlowType(kind=left, branched=shape is Shape.FORK or (inside and shape is Shape.PLAIN)) if left else None,
    )


def _report_misfit(nodes: tuple[Node, ...], index: int, found: Walk, context: Context) -> None:
    node, offered = nodes[index], found.taken[index]
    contract = node.contract
    assert contract is not None, "a stage that nobody declared fits anything"
    assert offered is not None, "an unknown kind fits anything"
    at = context.source.locate("flow")
    written = tuple(one for one in nodes if not one.implied)
    edit = repair(written, min(index, len(written) - 1), pairs=context.source.pairs)
    if contract.shape is Shape.JOIN and issubclass(offered, Prompt):
        split = next(one for one in reversed(nodes[:index]) if one.paradigm is Paradigm.DECOMPOSE)
        add = f"write the segments with a stage after it, for example  flow: {split.slot} >> write"
        context.report.add(graph_codes.NEVER_FILLED(at, split=split, hint=add))
    elif index == 0:
        context.report.add(
            codes.CANNOT_START(
                at,
                first=node,
                takes=names(contract.takes),
                have=f"an input: {names(STARTS)}",
                want=f"{node.slot!r}: {contract}",
                hint=edit or "put a stage before it that leaves what it takes",
            )
        )
    else:
        before = nodes[index - 1]
        context.report.add(
            codes.KIND_MISMATCH(
                at,
                left=before,
                right=node,
                left_kind=FlowType(kind=offered, branched=node.region is not None),
                right_kind=names(contract.takes),
                have=f"{before.slot!r} leaves {offered.__name__}" + (" in each segment" if node.region else ""),
                want=f"{node.slot!r} takes {names(contract.takes)}",
                notes=(f"{contract.reason(offered)} (survey, {_section(before, node)})",),
                help=edit
                or f"put a stage between them that takes {offered.__name__} and leaves {names(contract.takes)}",
            )
        )


def _section(before: Node, after: Node) -> str:
    """Where the survey gives the reason: A.2.1 for two paradigms that never compose, section 5.2 for a wrong order."""
    if before.paradigm is None or after.paradigm is None or Paradigm.MERGE in (before.paradigm, after.paradigm):
        return "Table 4"
    names_of = f"{PARADIGMS[before.paradigm].survey_name} x {PARADIGMS[after.paradigm].survey_name}"
    return (
        f"section 5.2: {names_of} in this order" if composes(before.paradigm, after.paradigm) else f"A.2.1: {names_of}"
    )
