"""The six paradigms and Merge, as a person writes them in Python."""

from typing import Any, TypeVar, final, overload

from ptgflow.contracts.kinds import Branches, Canvas, Draft, Prompt, Segment, Text, Verified
from ptgflow.contracts.paradigms import PARADIGMS, Paradigm
from ptgflow.dsl.pipeline import Flow, Option, Pipeline, Stage, frozen, then

C_co = TypeVar("C_co", bound=Segment, covariant=True)
C = TypeVar("C", bound=Segment)
A = TypeVar("A")


def _stage(paradigm: Paradigm, method: str, options: dict[str, Option]) -> Stage:
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
        super().__init__(_stage(Paradigm.DECOMPOSE, method, options))

    @overload
    def __rshift__(self, other: Pipeline[Prompt, C]) -> Pipeline[Prompt, Branches[C]]: ...
    @overload
    def __rshift__(self, other: Pipeline[Text, C]) -> Pipeline[Text, Branches[C]]: ...
    def __rshift__(self, other: Flow) -> Flow:
        return then(self, other)


@final
class OneShot(Pipeline[Prompt, Text]):
    """Write the whole text in a single pass. `decoder` names the method."""

    __slots__ = ()

    def __init__(self, decoder: str = PARADIGMS[Paradigm.ONESHOT].default, **options: Option) -> None:
        super().__init__(_stage(Paradigm.ONESHOT, decoder, options))


@final
class MTP(Pipeline[Prompt, Draft]):
    """Write several consecutive tokens a step. `heads` names the method."""

    __slots__ = ()

    def __init__(self, heads: str = PARADIGMS[Paradigm.MTP].default, **options: Option) -> None:
        super().__init__(_stage(Paradigm.MTP, heads, options))


@final
class Masked(Pipeline[Prompt | Canvas | Verified, Draft]):
    """Fill masked positions, many a step. `selector` names the method."""

    __slots__ = ()

    def __init__(self, selector: str = PARADIGMS[Paradigm.MASKED].default, **options: Option) -> None:
        super().__init__(_stage(Paradigm.MASKED, selector, options))


@final
class Edit(Pipeline[Text, Draft]):
    """Repair a text, round by round. `editor` names the method."""

    __slots__ = ()

    def __init__(self, editor: str = PARADIGMS[Paradigm.EDIT].default, **options: Option) -> None:
        super().__init__(_stage(Paradigm.EDIT, editor, options))


@final
class DraftVerify(Pipeline[Prompt | Draft, Verified]):
    """Propose cheaply, let the target model judge. `drafter` names the method."""

    __slots__ = ()

    def __init__(self, drafter: str = PARADIGMS[Paradigm.DRAFT_VERIFY].default, **options: Option) -> None:
        super().__init__(_stage(Paradigm.DRAFT_VERIFY, drafter, options))


@final
class Merge(Flow):
    """Join the segments; implied at the end of a flow, written where a later stage must see the whole."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Stage(Paradigm.MERGE))

    def __rshift__(self, other: Pipeline[C, A]) -> Pipeline[Branches[C], A]:
        joined: Pipeline[Any, Any] = then(self, other)
        return joined
