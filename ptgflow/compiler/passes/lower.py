"""Pass 1, lower: from a flow to a chain of nodes with unique slots.

before   Decompose() >> MTP() >> MTP()
after    (input) -> decompose -> mtp -> mtp_2 -> (answer)
"""

from collections import Counter

from ptgflow.compiler.source import Context
from ptgflow.contracts import Paradigm
from ptgflow.diagnostics.codes import graph as codes
from ptgflow.diagnostics.codes import recipe as recipe_codes
from ptgflow.dsl import Stage
from ptgflow.dsl.text import render_flow, repeated
from ptgflow.graph.ir import Graph, Node


def slots_of(stages: tuple[Stage, ...]) -> tuple[str, ...]:
    """The slot of each stage: its own name, or one made from its paradigm (`edit`, `edit_2`)."""
    taken = {stage.slot for stage in stages if stage.slot}
    counts: Counter[str] = Counter()
    slots: list[str] = []
    for stage in stages:
        slot = stage.slot
        while not slot:
            base = str(stage.paradigm)
            counts[base] += 1
            candidate = base if counts[base] == 1 else f"{base}_{counts[base]}"
            slot = "" if candidate in taken else candidate
        slots.append(slot)
    return tuple(slots)


def lower(_: Graph, context: Context) -> Graph:
    """Name the slots; report an empty flow and a slot that stands twice (its later places are dropped)."""
    stages = context.source.flow.stages
    slots = slots_of(stages)
    at = context.source.locate("flow")
    if all(stage.paradigm is Paradigm.MERGE for stage in stages):
        context.report.add(codes.EMPTY_FLOW(at))
    for slot, stage in zip(slots, stages, strict=True):
        if stage.paradigm is None and context.report.ok:  # a recipe's undeclared slots were reported when it was read
            context.report.add(recipe_codes.UNKNOWN_SLOT(at, name=slot, hint="declare a stage for it"))
    for name, times in repeated(slots).items():
        other = next(f"{name}_{n}" for n in range(2, len(slots) + 3) if f"{name}_{n}" not in slots)
        first = slots.index(name)
        second = slots.index(name, first + 1)
        renamed = render_flow((*slots[:second], other, *slots[second + 1 :]))
        context.report.add(codes.REPEATED_SLOT(at, name=name, times=times, other=other, flow=renamed))
    kept = dict(reversed(list(zip(slots, stages, strict=True))))  # the first of several places wins
    return Graph.chain(Node(slot=slot, stage=kept[slot]) for slot in dict.fromkeys(slots))
