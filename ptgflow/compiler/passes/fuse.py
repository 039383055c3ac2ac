"""Pass 6, fuse: join neighbours that share a decode loop.

    before   write (mtp) -> check (draft_verify)
    after    write drafts inside the loop of check: one propose-and-verify loop, one pass a round for both

MTP heads draft for the verifier behind them, and Masked blocks are judged as they appear. Only neighbours on one model
and in one region are joined: a stage between them changes the text, so the verifier would judge something else.
"""

from dataclasses import replace

from ptgflow.compiler.source import Context
from ptgflow.contracts import Paradigm
from ptgflow.graph.ir import Graph, Node

_DRAFTS_FOR_VERIFIER = (Paradigm.MTP, Paradigm.MASKED)


def fuse(graph: Graph, context: Context) -> Graph:
    """Mark each drafter with the verifier whose loop it runs in."""
    del context
    joined: dict[str, str] = {}
    for node in graph:
        before = graph.before(node.slot)
        if before is not None and _share_a_loop(before, node):
            joined[before.slot] = node.slot
    return graph.map(lambda node: replace(node, fused_into=joined.get(node.slot)))


def _share_a_loop(draft: Node, verify: Node) -> bool:
    return (
        draft.paradigm in _DRAFTS_FOR_VERIFIER
        and verify.paradigm is Paradigm.DRAFT_VERIFY
        and draft.region == verify.region
        and draft.card == verify.card
    )
