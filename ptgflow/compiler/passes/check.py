"""Pass 5, check: every two stages on the path, the tokenizers, the accelerators and the guarantee.

Changes nothing: it only reports.
"""

from ptgflow.compiler.fixes import legal, repair, unwritten
from ptgflow.compiler.guarantee import guarantee_of
from ptgflow.compiler.matrix import bridged, composes, pair
from ptgflow.compiler.passes.resolve import report_conflicts
from ptgflow.compiler.source import Context
from ptgflow.contracts import BRIDGES, PARADIGMS, Conflict, Paradigm, Prompt
from ptgflow.contracts.accelerators import ACCELERATORS, Fit
from ptgflow.diagnostics.codes import kinds as codes
from ptgflow.diagnostics.codes import methods as method_codes
from ptgflow.dsl import Stage
from ptgflow.dsl.text import render_flow
from ptgflow.graph.ir import Graph, Node


def check(graph: Graph, context: Context) -> Graph:
    """Run the checks, each on its own."""
    nodes = graph.nodes
    if context.source.pairs == "path":
        _check_pairs(nodes, context)
    _check_bridges(nodes, context)
    _check_options(nodes, context)
    _check_tokenizers(nodes, context)
    _check_accelerators(nodes, context)
    _check_guarantee(graph, context)
    return graph


def _check_pairs(nodes: tuple[Node, ...], context: Context) -> None:
    """Neighbours are left to their kinds; stages with another one between them must compose as paradigms (Table 4)."""
    working = [node for node in nodes if node.paradigm not in (Paradigm.MERGE, Paradigm.DECOMPOSE)]
    path = [node.paradigm for node in working]
    for index, right in enumerate(working):
        for at, left in enumerate(working[: max(index - 1, 0)]):
            if left.paradigm is None or right.paradigm is None or composes(left.paradigm, right.paradigm):
                continue
            if bridged(path, at, index):
                continue
            written = tuple(node for node in nodes if not node.implied)
            edit = repair(written, written.index(right))
            context.report.add(
                codes.PAIR_DOES_NOT_COMPOSE(
                    context.source.locate("flow"),
                    left=left,
                    right=right,
                    left_paradigm=PARADIGMS[left.paradigm].survey_name,
                    right_paradigm=PARADIGMS[right.paradigm].survey_name,
                    hint=f"{edit} ; or check neighbours only:  compile.pairs=adjacent"
                    if edit
                    else "compile.pairs=adjacent  checks neighbours only",
                    have=f"{left.slot!r} ... {right.slot!r}",
                    want="two paradigms that compose (ptgflow matrix)",
                    notes=tuple(f"{why} (survey, A.2.1)" for why in pair(right.paradigm, left.paradigm).reasons),
                )
            )


def _check_bridges(nodes: tuple[Node, ...], context: Context) -> None:
    """A bridge reads what the stage that wrote a text knows of its tokens; of a text that is given nobody knows it."""
    at = unwritten(nodes)
    if at is None:
        return
    bridge = nodes[at]
    written = tuple(node for node in nodes if not node.implied)
    context.report.add(
        codes.NOTHING_TO_BRIDGE(
            context.source.locate("flow"),
            bridge=bridge,
            hint=repair(written, at, pairs=context.source.pairs)
            or f"write the text with a stage before it, for example  flow: draft >> {bridge.slot} >> fill",
        )
    )


def _check_options(nodes: tuple[Node, ...], context: Context) -> None:
    """What is set for another kind of text than the one that reaches a stage."""
    for node in nodes:
        if node.options is None or node.takes is None or node.contract is None:
            continue
        if node.contract.accepts(node.takes.kind):
            report_conflicts(node, node.options.conflicts_taking(node.takes.kind), context)


def _check_tokenizers(nodes: tuple[Node, ...], context: Context) -> None:
    bound = [node for node in nodes if node.card is not None and node.card.tokenizer is not None]
    known = [node for node in bound if not node.reads_words]
    for editor in [node for node in bound if node.reads_words]:
        path = known[0] if known else bound[0]
        assert editor.card is not None, "kept only with a card"
        assert path.card is not None, "kept only with a card"
        if editor.card.tokenizer != path.card.tokenizer:
            context.report.add(
                codes.RETOKENISED(
                    context.source.locate(f"stages.{editor.slot}.model"),
                    editor=editor,
                    slot=editor.slot,
                    have=f"{editor.slot!r} on {editor.card.name!r}: tokenizer {editor.card.tokenizer}",
                    want=f"the path on {path.card.name!r}: tokenizer {path.card.tokenizer}",
                )
            )
    for left, right in zip(known, known[1:], strict=False):
        assert left.card is not None, "kept only with a card"
        assert right.card is not None, "kept only with a card"
        if left.card.tokenizer != right.card.tokenizer:
            context.report.add(
                codes.TOKENIZER_MISMATCH(
                    context.source.locate(f"stages.{right.slot}.model"),
                    left=repr(left.slot),
                    right=repr(right.slot),
                    right_slot=right.slot,
                    have=f"{left.slot!r} on {left.card.name!r}: tokenizer {left.card.tokenizer}",
                    want=f"{right.slot!r} on {right.card.name!r}: tokenizer {right.card.tokenizer}",
                )
            )


def _check_accelerators(nodes: tuple[Node, ...], context: Context) -> None:
    if context.source.accelerate.kv_reuse == "auto":
        return
    reuse = next(one for one in ACCELERATORS if one.name == "kv_reuse")
    for node in nodes:
        if node.paradigm is None or node.paradigm in BRIDGES or reuse.fit(PARADIGMS[node.paradigm]) is Fit.YES:
            continue
        has_caches = node.spec is not None and "cache" in node.spec.options.model_fields
        named = f" , and name an approximation:  stages.{node.slot}.cache=..." if has_caches else ""
        context.report.add(
            method_codes.ACCELERATOR_REFUSED(
                context.source.locate("accelerate.kv_reuse"),
                accelerator="kv_reuse",
                value="exact",
                stage=node,
                hint=f"write  accelerate.kv_reuse=auto{named}",
                have=f"{PARADIGMS[node.paradigm].survey_name}: {reuse.fit(PARADIGMS[node.paradigm])} in Table 5",
                want="a stage that only appends",
                notes=(reuse.reason(PARADIGMS[node.paradigm]),),
            )
        )


def _check_guarantee(graph: Graph, context: Context) -> None:
    source = context.source
    have = guarantee_of(graph, source.temperature)
    if have.meets(source.guarantee) or not graph.nodes:
        return
    written = tuple(node for node in graph if not node.implied)
    context.report.add(
        codes.GUARANTEE_NOT_MET(
            source.locate("guarantee"),
            wanted=source.guarantee,
            level=have.level,
            hint=_guarantee_hint(graph, written, context),
            have=f"guarantee {have}",
            want=f"guarantee {source.guarantee}",
        )
    )


def _guarantee_hint(graph: Graph, written: tuple[Node, ...], context: Context) -> str:
    """The edit that would give the guarantee: another temperature, or the verifier last."""
    source = context.source
    for temperature, setting in ((0.0, "temperature=0"), (1.0, "temperature=1")):
        if guarantee_of(graph, temperature).meets(source.guarantee):
            return f"write  {setting}  , or demand  guarantee: {guarantee_of(graph, source.temperature).level}"
    taken = {node.slot for node in written}
    slot = next(name for name in ("check", *(f"check_{n}" for n in range(2, len(taken) + 3))) if name not in taken)
    verified = (*written, Node(slot=slot, stage=Stage(Paradigm.DRAFT_VERIFY, slot=slot)))
    if not legal(verified, pairs=source.pairs):
        return "demand  guarantee: none  : no verifier can follow these stages"
    flow = render_flow(tuple(node.slot for node in verified))
    idle = "".join(f"  stages.{written[-1].slot}.{one.remedies[0]}" for one in _idle_before_a_verifier(written[-1]))
    edit = f"flow: {flow}  , with{idle}" if idle else f"flow: {flow}"
    return f"end the flow with a verifier (stages.{slot}, draft_verify/ngram):  {edit}  , or  guarantee: none"


def _idle_before_a_verifier(node: Node) -> tuple[Conflict, ...]:
    """What is set for a stage that would only draft for a verifier behind it."""
    drafts = node.options is not None and node.takes is not None and issubclass(node.takes.kind, Prompt)
    return node.options.conflicts_fused() if drafts and node.options is not None else ()
