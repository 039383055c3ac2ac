"""Pass 6, fuse: join neighbours that share a decode loop.

    before   write (mtp) -> check (draft_verify)
    after    write drafts inside the loop of check: one propose-and-verify loop, one pass a round for both

MTP heads draft for the verifier behind them, and Masked blocks are judged as they appear. Only neighbours on one model
and in one region are joined: a stage between them changes the text, so the verifier would judge something else. What
starts from holes or from a text that was verified does not draft at the end of a text, and is not joined either.
"""

from dataclasses import replace

from ptgflow.compiler.passes.resolve import report_conflicts
from ptgflow.compiler.source import Context
from ptgflow.contracts import Paradigm, Prompt
from ptgflow.graph.ir import Graph, Node

_DRAFTS_FOR_VERIFIER = (Paradigm.MTP, Paradigm.MASKED)


def fuse(graph: Graph, context: Context) -> Graph:
    """Mark each drafter with the verifier whose loop it runs in, and report what is set for others than there are."""
    joined: dict[str, str] = {}
    for node in graph:
        before = graph.before(node.slot)
        if before is not None and _share_a_loop(before, node):
            joined[before.slot] = node.slot
    for node in graph:
        if node.options is not None and node.slot not in joined.values():
            report_conflicts(node, node.options.conflicts_alone(), context)
        if node.options is not None and node.slot in joined:
            report_conflicts(node, node.options.conflicts_fused(), context)
    return graph.map(lambda node: replace(node, fused_into=joined.get(node.slot)))


def _share_a_loop(draft: Node, verify: Node) -> bool:
    return (
        draft.paradigm in _DRAFTS_FOR_VERIFIER
        and draft.takes is not None
        and issubclass(draft.takes.kind, Prompt)
        and verify.paradigm is Paradigm.DRAFT_VERIFY
        and draft.region == verify.region
        and draft.card == verify.card
    )
