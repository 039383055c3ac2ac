"""The compiler's driver: the list of passes, run one after the other, with the legality table checked in between."""

from collections.abc import Callable
from typing import Final

from ptgflow.compiler.guarantee import guarantee_of
from ptgflow.compiler.legality import breaches
from ptgflow.compiler.passes.check import check
from ptgflow.compiler.passes.fuse import fuse
from ptgflow.compiler.passes.infer import infer, starts
from ptgflow.compiler.passes.lift import lift
from ptgflow.compiler.passes.lower import lower
from ptgflow.compiler.passes.resolve import resolve
from ptgflow.compiler.program import Program
from ptgflow.compiler.source import Cards, Context, Source
from ptgflow.contracts import MethodTable
from ptgflow.diagnostics import Report
from ptgflow.diagnostics.codes.methods import ILLEGAL_GRAPH
from ptgflow.errors import InternalError
from ptgflow.graph.ir import Graph

Pass = Callable[[Graph, Context], Graph]

PASSES: Final[tuple[Pass, ...]] = (lower, resolve, lift, infer, check, fuse)
"""In this order. Each is pure: it returns a new graph and adds to the report."""


def compile_source(source: Source, *, methods: MethodTable, cards: Cards, report: Report) -> Program | None:
    """Compile a flow; None when the report holds an error, which then explains everything that was found.

    Raises:
        InternalError: a pass left a graph that its level does not allow, although nothing was reported.
    """
    context = Context(source=source, methods=methods, cards=cards, report=report)
    graph = Graph.chain(())
    done: list[str] = []
    for one in PASSES:
        graph = one(graph, context)
        if report.ok:
            for reason in breaches(one.__name__, graph):
                before = ", ".join(done) or "none"
                raise InternalError([ILLEGAL_GRAPH(name=one.__name__, reason=reason, before=before)])
        done.append(one.__name__)
    if not report.ok:
        return None
    return Program(
        name=source.name,
        graph=graph,
        card=source.card,
        accelerate=source.accelerate,
        starts=starts(graph),
        guarantee=guarantee_of(graph, source.temperature),
        pairs=source.pairs,
        notes=tuple(report),
    )
