"""The paradigms that turn one segment into one, as a person writes them in Python."""

from collections.abc import Mapping
from typing import final

from ptgflow.contracts.kinds import Canvas, Draft, Prompt, Text, Verified
from ptgflow.contracts.paradigms import PARADIGMS, Paradigm
from ptgflow.dsl.pipeline import Option, Pipeline, stage_of


@final
class OneShot(Pipeline[Prompt, Text]):
    """Write the whole text in a single pass. `decoder` names the method."""

    __slots__ = ()

    def __init__(self, decoder: str = PARADIGMS[Paradigm.ONESHOT].default, **options: Option) -> None:
        super().__init__(stage_of(Paradigm.ONESHOT, decoder, options))


@final
class MTP(Pipeline[Prompt, Draft]):
    """Write several consecutive tokens a step. `heads` names the method."""

    __slots__ = ()

    def __init__(self, heads: str = PARADIGMS[Paradigm.MTP].default, **options: Option) -> None:
        super().__init__(stage_of(Paradigm.MTP, heads, options))


@final
class Masked(Pipeline[Prompt | Canvas | Verified, Draft]):
    """Fill masked positions, many a step. `selector` names the method."""

    __slots__ = ()

    def __init__(self, selector: str = PARADIGMS[Paradigm.MASKED].default, **options: Option) -> None:
        super().__init__(stage_of(Paradigm.MASKED, selector, options))


@final
class Edit(Pipeline[Text, Draft]):
    """Repair a text, round by round. `editor` names the method."""

    __slots__ = ()

    def __init__(
        self, editor: str = PARADIGMS[Paradigm.EDIT].default, **options: Option | Mapping[str, object]
    ) -> None:
        super().__init__(stage_of(Paradigm.EDIT, editor, options))


@final
class DraftVerify(Pipeline[Prompt | Draft, Verified]):
    """Propose cheaply, let the target model judge. `drafter` names the method."""

    __slots__ = ()

    def __init__(self, drafter: str = PARADIGMS[Paradigm.DRAFT_VERIFY].default, **options: Option) -> None:
        super().__init__(stage_of(Paradigm.DRAFT_VERIFY, drafter, options))


@final
class Remask(Pipeline[Text, Canvas]):
    """Open the doubtful positions of a text again: the bridge to `Masked`. `method` names how."""

    __slots__ = ()

    def __init__(self, method: str = PARADIGMS[Paradigm.REMASK].default, **options: Option) -> None:
        super().__init__(stage_of(Paradigm.REMASK, method, options))
