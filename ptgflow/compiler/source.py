"""What goes into the compiler, and what the passes share while they work on it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from ptgflow.contracts import Level, MethodTable, ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.diagnostics import Location, Report
from ptgflow.dsl import Flow

Pairs = Literal["path", "adjacent"]
"""Whether every two stages on a path must compose, or neighbours only."""


def pipeline_location(place: str) -> Location:
    """Where something is in a flow written in Python."""
    return Location(source="pipeline", place=place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A flow with everything that its legality depends on."""

    flow: Flow
    card: ModelCard
    """The target: the model of every stage that names no other."""
    name: str = "pipeline"
    guarantee: Level = "none"
    """What the recipe demands of its result."""
    pairs: Pairs = "path"
    accelerate: Accelerate = field(default_factory=Accelerate)
    temperature: float = 0.0
    locate: Callable[[str], Location] = pipeline_location
    """From a dotted key such as `stages.write.k` to where it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """Where model cards come from."""

    find: Callable[[str], ModelCard | None]
    names: Callable[[], Iterable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every pass may read, and the report that every pass may add to."""

    source: Source
    methods: MethodTable
    cards: Cards
    report: Report
