"""The guarantee of a flow: that of its last stage that changes text."""

from ptgflow.contracts import NO_GUARANTEE, Guarantee, Paradigm
from ptgflow.graph.ir import Graph


def guarantee_of(graph: Graph, temperature: float) -> Guarantee:
    """What can be promised about the result, and of how much of it.

    Splitting a text and joining it again change no text, so they are looked through; but what was judged segment by
    segment is promised only segment by segment.
    """
    nodes = graph.nodes
    changing = [node for node in nodes if node.paradigm not in (Paradigm.DECOMPOSE, Paradigm.MERGE)]
    if not changing or changing[-1].options is None or changing[-1].card is None:
        return NO_GUARANTEE
    last = changing[-1]
    assert last.options is not None, "asked above"
    assert last.card is not None, "asked above"
    level = last.options.guarantee(temperature)
    if level == "none":
        return NO_GUARANTEE
    return Guarantee(level=level, target=last.card.name, scope="answer" if last.region is None else "segment")
