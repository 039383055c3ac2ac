"""The compiler's graph: stages as nodes, what flows between them as edges. An immutable face of a networkx digraph."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import networkx as nx

from ptgflow.contracts import Contract, FlowType, MethodSpec, ModelCard, Paradigm, Prompt, StageOptions, Text
from ptgflow.contracts.paradigms import PARADIGMS
from ptgflow.dsl import Stage
from ptgflow.graph.dominance import open_forks

START = "(input)"
END = "(answer)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A stage in the graph. Passes fill the fields from top to bottom."""

    slot: str
    stage: Stage
    implied: bool = False
    """Put there by the compiler, not by the recipe."""
    spec: MethodSpec | None = None
    """The method (pass `resolve`); None while unknown, and for Merge."""
    options: StageOptions | None = None
    """The method's validated options (pass `resolve`)."""
    card: ModelCard | None = None
    """The model that the stage runs on (pass `resolve`)."""
    draft_card: ModelCard | None = None
    """The model that drafts for it, where its method has one (pass `resolve`)."""
    region: str | None = None
    """Slot of the Decompose whose segments this stage works on (pass `lift`)."""
    takes: FlowType | None = None
    """Type of the edge that comes in (pass `infer`)."""
    leaves: FlowType | None = None
    """Type of the edge that goes out (pass `infer`)."""
    fused_into: str | None = None
    """Slot of the stage whose loop this one shares, drafting for it (pass `fuse`)."""

    @property
    def paradigm(self) -> Paradigm | None:
        return self.stage.paradigm

    @property
    def method(self) -> str | None:
        """Name of the method as written, whether it exists or not."""
        if self.paradigm is None or self.paradigm is Paradigm.MERGE:
            return None
        value = self.stage.settings.get(PARADIGMS[self.paradigm].axis)
        return None if value is None else str(value)

    @property
    def contract(self) -> Contract | None:
        """The method's contract, or its paradigm's while the method is unknown.

        A stage that only drafts for a verifier does so at the end of a prompt, whatever it could start from alone.
        """
        if self.spec is not None:
            own = self.spec.effective_contract
            return own if self.fused_into is None else replace(own, takes=(Prompt,))
        return None if self.paradigm is None else PARADIGMS[self.paradigm].contract

    @property
    def reads_words(self) -> bool:
        """Whether it takes a text and leaves one, so that its model may have a tokenizer of its own."""
        leaves = None if self.contract is None else self.contract.leaves
        return self.paradigm is Paradigm.EDIT and leaves is not None and issubclass(leaves, Text)

    def __str__(self) -> str:
        """`'fill' (masked/threshold)`: how messages name a stage."""
        if self.paradigm is None:
            return repr(self.slot)
        return f"{self.slot!r} ({self.paradigm}{f'/{self.method}' if self.method else ''})"


class Graph:
    """Nodes from START to END. Every change makes a new graph."""

    __slots__ = ("_digraph",)

    def __init__(self, digraph: "nx.DiGraph[str]") -> None:
        self._digraph = nx.freeze(digraph)

    @classmethod
    def chain(cls, nodes: Iterable[Node]) -> "Graph":
        """The nodes one after the other."""
        digraph: nx.DiGraph[str] = nx.DiGraph()
        kept = tuple(nodes)
        digraph.add_node(START)
        for node in kept:
            digraph.add_node(node.slot, node=node)
        digraph.add_node(END)
        nx.add_path(digraph, [START, *(node.slot for node in kept), END])
        return cls(digraph)

    @property
    def digraph(self) -> "nx.DiGraph[str]":
        """The frozen networkx graph; START and END carry no node."""
        return self._digraph

    @property
    def nodes(self) -> tuple[Node, ...]:
        """In topological order; ties in order of insertion, so the order is the same at every compilation."""
        order = [slot for slot in nx.topological_sort(self._digraph) if slot not in (START, END)]
        return tuple(self[slot] for slot in order)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getitem__(self, slot: str) -> Node:
        node = self._digraph.nodes[slot]["node"]
        assert isinstance(node, Node), f"{slot!r} is an end of the graph, not a stage"
        return node

    def before(self, slot: str) -> Node | None:
        """The stage before `slot`; None at the beginning."""
        (previous,) = self._digraph.predecessors(slot)
        return None if previous == START else self[previous]

    def map(self, change: Callable[[Node], Node]) -> "Graph":
        """The same edges with every node changed."""
        digraph = nx.DiGraph(self._digraph)
        for node in self.nodes:
            digraph.add_node(node.slot, node=change(node))
        return Graph(digraph)

    def append(self, node: Node) -> "Graph":
        """One more node before END."""
        return Graph.chain([*self.nodes, node])

    def with_regions(self) -> "Graph":
        """Every node with the Decompose whose segments it works on."""
        forks = {node.slot for node in self.nodes if node.paradigm is Paradigm.DECOMPOSE}
        joins = {node.slot for node in self.nodes if node.paradigm is Paradigm.MERGE}
        stacks = open_forks(self._digraph, START, forks=forks, joins=joins)
        return self.map(lambda node: replace(node, region=stacks[node.slot][-1] if stacks[node.slot] else None))
