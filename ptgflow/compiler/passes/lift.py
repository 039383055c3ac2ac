"""Pass 3, lift: say which stages work on the segments of which Decompose, and write the implied Merge down.

before   split -> write -> (answer)
after    split -> write [in split] -> merge [closes split] -> (answer)
"""

from ptgflow.compiler.fixes import repair
from ptgflow.compiler.source import Context
from ptgflow.contracts import Paradigm
from ptgflow.diagnostics.codes import graph as codes
from ptgflow.dsl import Stage
from ptgflow.graph.ir import END, Graph, Node


def lift(graph: Graph, context: Context) -> Graph:
    """Report a Merge without a Decompose and a Decompose within another."""
    lifted = graph.with_regions()
    written = lifted.nodes
    for index, node in enumerate(written):
        if node.paradigm is Paradigm.MERGE and node.region is None:
            context.report.add(
                codes.MERGE_WITHOUT_DECOMPOSE(
                    context.source.locate("flow"),
                    merge=repr(node.slot),
                    hint=repair(written, index) or "leave it out, or put a Decompose before it",
                )
            )
        if node.paradigm is Paradigm.DECOMPOSE and node.region is not None:
            context.report.add(
                codes.NESTED_DECOMPOSE(
                    context.source.locate("flow"),
                    inner=node,
                    outer=lifted[node.region],
                    hint=repair(written, index) or f"write  merge  before {node.slot!r}",
                )
            )
    if not _open_at_end(lifted):
        return lifted
    taken = {node.slot for node in written}
    slot = next(name for name in ("merge", *(f"merge_{n}" for n in range(2, len(taken) + 3))) if name not in taken)
    return lifted.append(Node(slot=slot, stage=Stage(Paradigm.MERGE, slot=slot), implied=True)).with_regions()


def _open_at_end(graph: Graph) -> bool:
    """Whether the last stage leaves a family of segments."""
    last = graph.before(END)
    if last is None or last.paradigm is Paradigm.MERGE:
        return False
    return last.paradigm is Paradigm.DECOMPOSE or last.region is not None
