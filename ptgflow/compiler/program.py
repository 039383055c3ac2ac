"""A compiled recipe: the graph with everything bound, and what it promises."""

import json
from dataclasses import dataclass

from ptgflow.contracts import Guarantee, ModelCard, Paradigm, Segment
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.diagnostics import Diagnostic
from ptgflow.graph.ir import Graph, Node

LOOPS: dict[Paradigm, str] = {
    Paradigm.DECOMPOSE: "decode",
    Paradigm.MTP: "decode",
    Paradigm.DRAFT_VERIFY: "decode",
    Paradigm.MASKED: "canvas",
    Paradigm.ONESHOT: "canvas",
    Paradigm.EDIT: "edit",
}
"""Which of the engine's three loops a paradigm runs in, but for methods that decode (`MethodSpec.decodes`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Stages whose rows are batched together: one kind of loop on one model."""

    family: str
    model: str
    slots: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What the compiler makes of a recipe that it accepts."""

    name: str
    graph: Graph
    card: ModelCard
    accelerate: Accelerate
    starts: tuple[type[Segment], ...]
    """The kinds of input that it can run on."""
    guarantee: Guarantee
    pairs: str
    notes: tuple[Diagnostic, ...]
    """Warnings and notes: what does not reject the recipe."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.graph.nodes

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Which stages are batched with which."""
        found: dict[tuple[str, str], list[str]] = {}
        for node in self.nodes:
            if node.paradigm is not None and node.paradigm in LOOPS and node.card is not None:
                decodes = node.spec is not None and node.spec.decodes
                key = ("decode" if decodes else LOOPS[node.paradigm], node.card.name)
                found.setdefault(key, []).append(node.slot)
        return tuple(Loop(family=key[0], model=key[1], slots=tuple(slots)) for key, slots in found.items())

    @property
    def unimplemented(self) -> tuple[Node, ...]:
        """Stages whose method has no code yet."""
        return tuple(node for node in self.nodes if node.spec is not None and node.spec.implementation is None)

    def as_dict(self) -> dict[str, object]:
        """The program as plain data; equal recipes give equal dictionaries."""
        return {
            "name": self.name,
            "model": self.card.name,
            "starts_from": [kind.__name__ for kind in self.starts],
            "guarantee": {
                "level": self.guarantee.level,
                "target": self.guarantee.target,
                "scope": self.guarantee.scope,
            },
            "pairs": self.pairs,
            "stages": [_stage(node) for node in self.nodes],
            "loops": [{"family": loop.family, "model": loop.model, "slots": list(loop.slots)} for loop in self.loops],
            "notes": [note.as_dict() for note in self.notes],
        }

    def to_json(self) -> str:
        """The dictionary as JSON text."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False)


def _stage(node: Node) -> dict[str, object]:
    return {
        "slot": node.slot,
        "paradigm": None if node.paradigm is None else str(node.paradigm),
        "method": node.method,
        "options": node.options.model_dump(mode="json") if node.options else {},
        "model": node.card.name if node.card else None,
        "takes": str(node.takes),
        "leaves": str(node.leaves),
        "segments_of": node.region,
        "implied": node.implied,
        "fused_into": node.fused_into,
    }
