"""Contracts: which kinds a stage takes and which it leaves. The compiler reads nothing else about a stage's place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ptgflow.contracts.kinds import Segment


class Shape(StrEnum):
    """What a stage does to the number of segments."""

    PLAIN = "plain"
    """One segment in, one out; applied to each segment of a family (lifting)."""
    FORK = "fork"
    """One segment in, a family of segments of the same kind out."""
    JOIN = "join"
    """A family in, one segment of its kind out."""


class Writes(StrEnum):
    """In which order a stage settles tokens: what decides whether keys and values can be reused (Table 5)."""

    APPENDS = "appends"
    """Left to right; what stands before a settled token never changes."""
    ONCE = "once"
    """All positions in a single pass."""
    REVISES = "revises"
    """Anywhere, in any order; settled positions may change again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowType:
    """The type of an edge: a kind, and whether it stands alone or in a family."""

    kind: type[Segment]
    branched: bool = False

    def __str__(self) -> str:
        return f"Branches[{self.kind.__name__}]" if self.branched else self.kind.__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a stage takes and leaves.

    A stage takes any subtype of a kind in `takes`. A fork or join leaves the very kind it was given; another stage
    leaves `leaves`.
    """

    takes: tuple[type[Segment], ...]
    leaves: type[Segment] | None
    """None for a fork or join: the kind that came in."""
    shape: Shape = Shape.PLAIN
    may_leave: tuple[type[Segment], ...] = ()
    """Other kinds that a method may declare to leave instead (Edit: a Canvas, by an editor that only tags)."""
    refuses: Mapping[type[Segment], str] = field(default_factory=dict[type[Segment], str])
    """Why a kind is not taken, in the field's own terms (survey A.2.1); the nearest supertype's reason holds."""

    def accepts(self, kind: type[Segment]) -> bool:
        return issubclass(kind, self.takes)

    def result(self, kind: type[Segment]) -> type[Segment] | None:
        """The kind left after `kind` came in; None when it is not taken."""
        if not self.accepts(kind):
            return None
        return kind if self.leaves is None else self.leaves

    def reason(self, kind: type[Segment]) -> str:
        """Why `kind` is not taken."""
        for ancestor in kind.__mro__:
            if ancestor in self.refuses:
                return self.refuses[ancestor]
        return f"a {kind.__name__} is none of {names(self.takes)}"

    def refines(self, wider: "Contract") -> bool:
        """Whether a method with this contract fits a paradigm with the contract `wider`: takes and leaves within it."""
        taken = all(issubclass(kind, wider.takes) for kind in self.takes)
        return taken and self.shape is wider.shape and self.leaves in (wider.leaves, *wider.may_leave)

    def __str__(self) -> str:
        left = "the same kind" if self.leaves is None else self.leaves.__name__
        if self.shape is Shape.FORK:
            left = "Branches of it"
        return f"{names(self.takes)} -> {left}"


def names(kinds: tuple[type[Segment], ...]) -> str:
    """`Prompt, Canvas or Verified`: kinds as a reader wants them."""
    words = [kind.__name__ for kind in kinds]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
