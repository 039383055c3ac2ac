"""Method specifications: the torch-free table entry of one implementation of a paradigm."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from ptgflow.contracts.capabilities import Capability
from ptgflow.contracts.contract import Contract
from ptgflow.contracts.guarantee import Level
from ptgflow.contracts.kinds import Segment
from ptgflow.contracts.paradigms import PARADIGMS, Paradigm

Reach = Literal["nothing", "block", "anywhere"]
"""How far something reaches in a canvas: not at all, within the block being written, or any position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two options that cannot go together."""

    reason: str
    """One sentence, with both."""
    remedies: tuple[str, ...]
    """Edits of which each is enough: `cache=none`."""
    of_a_cache: bool = False
    """Whether a cache would keep what the other option changes."""


class StageOptions(BaseModel):
    """Base of every method's options. A method's own class adds fields, each bounded and described."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None
    """Card of the model that this stage runs on; null: the recipe's model."""

    second_model: ClassVar[str] = "draft"
    """The option that names a second model."""

    def draft_model(self) -> str | None:
        """Card of a second model, which drafts for the first, or guides it; None: there is none."""
        return None

    def reencodes(self) -> bool:
        """Whether the second model may have another tokenizer, because its text is encoded anew."""
        return False

    def guarantee(self, temperature: float) -> Level:
        """What the stage promises of its text in relation to its target model. Nothing, unless a method says more."""
        del temperature
        return "none"

    def conflicts(self) -> tuple[Conflict, ...]:
        """Options that cannot go together."""
        return ()

    def conflicts_alone(self) -> tuple[Conflict, ...]:
        """Options for what a fused stage drafts inside this one's loop, where no stage was fused."""
        return ()

    def conflicts_fused(self) -> tuple[Conflict, ...]:
        """Options for what this stage does by itself, where it only drafts inside the loop of a verifier behind it."""
        return ()

    def conflicts_taking(self, kind: type[Segment]) -> tuple[Conflict, ...]:
        """Options for another kind of text than the one that reaches the stage."""
        del kind
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSpec:
    """One row of a paradigm's method table (`stages/<paradigm>/spec.py`)."""

    paradigm: Paradigm
    name: str
    summary: str
    """One line for `ptgflow stages`."""
    reference: str
    """Paper or system that the method is named after."""
    options: type[StageOptions]
    needs: frozenset[Capability] = frozenset()
    """What the stage's model must be able to do."""
    contract: Contract | None = None
    """Narrower than the paradigm's, where the method is; None: the paradigm's own."""
    implementation: str | None = None
    """`module:Class`, loaded when a program is bound to workers; None: not implemented yet."""
    extra: str | None = None
    """The extra to install for it: `edit` for `pip install 'ptgflow[edit]'`."""
    decodes: bool = False
    """Whether its rows are in a decoding loop, where the paradigm has a loop of another kind."""

    @property
    def key(self) -> str:
        """`paradigm/name`, as in `stage@stages.write=mtp/medusa`."""
        return f"{self.paradigm}/{self.name}"

    @property
    def effective_contract(self) -> Contract:
        return self.contract or PARADIGMS[self.paradigm].contract
