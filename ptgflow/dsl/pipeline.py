"""Flows as values: a flat tuple of stages, joined by `>>` and typed for the editor; and Decompose and Merge.

`>>` only appends tuples, so it is associative and equality is structural. What a Decompose does to the stages after it
(lifting) is worked out by the compiler, not here; the overloads below say it a second time, for pyright and mypy.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar, cast, final, overload

from ptgflow.contracts.kinds import Branches, Prompt, Segment, Text
from ptgflow.contracts.paradigms import PARADIGMS, Paradigm

Option = str | int | float | bool | None | tuple["Option", ...]
"""What an option of a stage may be."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A paradigm's place in a flow: which method fills it, and how that is set."""

    paradigm: Paradigm | None
    """None for a slot that the flow names and nobody declared; only the compiler's report sees such a stage."""
    options: tuple[tuple[str, Option], ...] = ()
    """Sorted by name, so that equality does not depend on the order of writing."""
    slot: str = ""
    """Empty until a name is given or the compiler chooses one."""

    @property
    def settings(self) -> dict[str, Option]:
        return dict(self.options)

    def __str__(self) -> str:
        if self.paradigm is None:
            return self.slot
        spec = PARADIGMS[self.paradigm]
        ordered = sorted(self.options, key=lambda item: (item[0] != spec.axis, item[0]))
        text = f"{spec.title}({', '.join(f'{name}={value!r}' for name, value in ordered)})"
        return f"{text}.named({self.slot!r})" if self.slot else text


def frozen(options: Mapping[str, object]) -> tuple[tuple[str, Option], ...]:
    """Options as a sorted tuple; lists become tuples, mappings their JSON text."""
    return tuple(sorted((name, _freeze(name, value)) for name, value in options.items()))


def _freeze(name: str, value: object) -> Option:
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        return tuple(_freeze(name, item) for item in items)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        # A stage can be hashed. Keys keep their order, which a JSON schema's texts have.
        return json.dumps(value)
    raise TypeError(
        f"option {name!r} is a {type(value).__name__}; use text, a number, a boolean, None, a list or a mapping"
    )


class Flow:
    """A chain of stages: the value behind `>>`, without types."""

    __slots__ = ("_stages",)
    _stages: tuple[Stage, ...]

    def __init__(self, *stages: Stage) -> None:
        self._stages = stages

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages from left to right."""
        return self._stages

    def named(self, slot: str) -> Self:
        """The same flow with its only stage called `slot`.

        Raises:
            ValueError: the flow has several stages, or `slot` is no identifier.
        """
        if len(self._stages) != 1:
            raise ValueError(f"only a single stage can be named, and this flow has {len(self._stages)}: {self}")
        if not slot.isidentifier():
            raise ValueError(f"a slot is called by an identifier such as 'write', not {slot!r}")
        copy = object.__new__(type(self))
        copy._stages = (replace(self._stages[0], slot=slot),)
        return copy

    def __eq__(self, other: object) -> bool:
        return self._stages == other._stages if isinstance(other, Flow) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._stages)

    def __repr__(self) -> str:
        return " >> ".join(str(stage) for stage in self._stages)


A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
S = TypeVar("S", bound=Segment)
R = TypeVar("R", bound=Segment)
T = TypeVar("T", bound=Text)
I_contra = TypeVar("I_contra", contravariant=True)
O_co = TypeVar("O_co", covariant=True)


class Pipeline(Flow, Generic[I_contra, O_co]):
    """A flow from `I` to `O`."""

    __slots__ = ()

    @overload
    def __rshift__(self: "Pipeline[A, Branches[T]]", other: "Merge") -> "Pipeline[A, T]": ...
    @overload
    def __rshift__(self: "Pipeline[A, S]", other: "Decompose") -> "Pipeline[A, Branches[S]]": ...
    @overload
    def __rshift__(self: "Pipeline[A, S]", other: "Pipeline[S, C]") -> "Pipeline[A, C]": ...
    @overload
    def __rshift__(self: "Pipeline[A, Branches[S]]", other: "Pipeline[Branches[S], C]") -> "Pipeline[A, C]": ...
    @overload
    def __rshift__(self: "Pipeline[A, Branches[S]]", other: "Pipeline[S, R]") -> "Pipeline[A, Branches[R]]": ...
    def __rshift__(self, other: Flow) -> Flow:
        return then(self, other)


def then(left: Flow, right: object) -> Pipeline[object, object]:
    """The stages of `left`, then those of `right`.

    Raises:
        TypeError: `right` is no flow.
    """
    if not isinstance(right, Flow):
        raise TypeError(f"a flow goes on with a stage such as Edit(), not with {right!r}")
    return Pipeline(*left.stages, *right.stages)


def stage_of(paradigm: Paradigm, method: str, options: Mapping[str, Option | Mapping[str, object]]) -> Stage:
    """A stage without a slot, its method under the name of its paradigm's axis."""
    return Stage(paradigm, frozen({PARADIGMS[paradigm].axis: method, **options}))


@final
class Decompose(Flow):
    """Split a prompt into sub-prompts, or a text into passages; the stages after it work on each segment.

    Args:
        method: `skeleton`, `schema` or `passages`.
        options: the method's own; `ptgflow stages` lists them.
    """

    __slots__ = ()

    def __init__(self, method: str = PARADIGMS[Paradigm.DECOMPOSE].default, **options: Option) -> None:
        super().__init__(stage_of(Paradigm.DECOMPOSE, method, options))

    @overload
    def __rshift__(self, other: Pipeline[Prompt, R]) -> Pipeline[Prompt, Branches[R]]: ...
    @overload
    def __rshift__(self, other: Pipeline[Text, R]) -> Pipeline[Text, Branches[R]]: ...
    def __rshift__(self, other: Flow) -> Flow:
        return then(self, other)


@final
class Merge(Flow):
    """Join the segments; implied at the end of a flow, written where a later stage must see the whole."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Stage(Paradigm.MERGE))

    def __rshift__(self, other: Pipeline[S, C]) -> Pipeline[Branches[S], C]:
        joined: Pipeline[Any, Any] = then(self, other)
        return joined
