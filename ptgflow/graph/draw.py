"""Pictures of a graph: text for a terminal, Mermaid for Markdown, SVG for everything else. Flows are chains."""

from html import escape

from ptgflow.graph.ir import Graph, Node

_BOX_WIDTH, _BOX_HEIGHT, _GAP, _MARGIN = 168, 58, 96, 24


def label(node: Node) -> str:
    """`write: mtp/medusa`, with what the compiler added or joined."""
    method = f"{node.paradigm}/{node.method}" if node.method else str(node.paradigm)
    extra = " (implied)" if node.implied else f" (drafts for {node.fused_into})" if node.fused_into else ""
    return f"{node.slot}: {method}{extra}"


def as_text(graph: Graph, start: str) -> str:
    """One line an edge type, one a stage; segments of a split are indented."""
    lines = [f"{start}"]
    for node in graph:
        inside = "  " if node.region is not None else ""
        lines.append(f"{inside}  | {node.takes}")
        lines.append(f"{inside}  v")
        lines.append(f"{inside}[{label(node)}]" + (f"  on {node.card.name}" if node.card else ""))
    last = graph.nodes[-1]
    return "\n".join([*lines, f"  | {last.leaves}", "  v", "answer"])


def as_mermaid(graph: Graph, start: str) -> str:
    """A `flowchart` with the kinds on the arrows."""
    lines = ["flowchart LR", f'  input(["{start}"])']
    before = "input"
    for node in graph:
        lines.append(f'  {node.slot}["{label(node)}"]')
        lines.append(f'  {before} -- "{node.takes}" --> {node.slot}')
        before = node.slot
    lines += ['  answer(["answer"])', f'  {before} -- "{graph.nodes[-1].leaves}" --> answer']
    return "\n".join(lines)


def as_svg(graph: Graph, start: str) -> str:
    """Boxes from left to right, the kinds above the arrows between them. Opens in any browser, needs no script."""
    boxes = [(start, ""), *((node.slot, _method(node)) for node in graph), ("answer", "")]
    kinds = [str(node.takes) for node in graph] + [str(graph.nodes[-1].leaves)]
    step = _BOX_WIDTH + _GAP
    width = 2 * _MARGIN + len(boxes) * step - _GAP
    height = 2 * _MARGIN + _BOX_HEIGHT + 20
    middle = _MARGIN + 20 + _BOX_HEIGHT // 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="14">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#444"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for index, (name, method) in enumerate(boxes):
        left = _MARGIN + index * step
        fill = "#eef3fb" if method else "#f4f4f4"
        parts.append(
            f'<rect x="{left}" y="{middle - _BOX_HEIGHT // 2}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="8" '
            f'fill="{fill}" stroke="#444"/>'
        )
        center = left + _BOX_WIDTH // 2
        parts.append(_words(center, middle + (0 if method else 5), name, bold=bool(method)))
        parts += [_words(center, middle + 19, method)] if method else []
        if index:
            tail = left - _GAP
            parts.append(
                f'<line x1="{tail}" y1="{middle}" x2="{left}" y2="{middle}" stroke="#444" marker-end="url(#tip)"/>'
            )
            parts.append(_words(tail + _GAP // 2, middle - _BOX_HEIGHT // 2 - 8, kinds[index - 1], size=12))
    return "\n".join([*parts, "</svg>"])


def _method(node: Node) -> str:
    return f"{node.paradigm}/{node.method}" if node.method else "joins the segments"


def _words(x: int, y: int, text: str, *, bold: bool = False, size: int = 14) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" text-anchor="middle" font-size="{size}"{weight}>{escape(text)}</text>'
