"""What every method implements: a generator that asks decoding loops for work and returns a segment.

A method never calls a model. It yields requests and is sent `Decoded` answers, so that a worker can put rows of
many segments and requests into one batch, and hold a segment at any point.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

from ptgflow.contracts import Branches, Message, Prompt, Segment
from ptgflow.contracts.settings import Generation
from ptgflow.engine.growth import TreeBuilder
from ptgflow.engine.loops import Request
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.models.progress import Progress
from ptgflow.engine.request import Decoded, JointDrafter

I_contra = TypeVar("I_contra", bound=Segment, contravariant=True)
O_co = TypeVar("O_co", covariant=True)

Work = Generator[Request, Decoded, O_co]
"""What `run` returns: yields requests, is sent answers, ends with the method's result."""


DraftsOf = Callable[[TreeBuilder, int, float], JointDrafter]
"""From how trees are built, of how many nodes at most, and of tokens of which least chance, to a drafter that does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """What a stage may know while it works on one segment."""

    slot: str
    """The stage's name in the flow: what it signs its tokens with."""
    model: LoadedModel
    generation: Generation
    budget: int
    """Most new tokens for this segment."""
    seed: int
    """Seed of this stage's work on this segment."""
    draft_model: LoadedModel | None = None
    """The second model, where the stage's options name one."""
    drafts: DraftsOf | None = None
    """The stage before, where the compiler has fused it into this one: it drafts inside this one's loop."""

    def prompt(self, messages: tuple[Message, ...], text: str, prefix: str = "") -> Prompt:
        """A prompt for this stage's model, through the chat template or as raw text as the run asks.

        `prefix` opens the answer: the model continues it.
        """
        return self.model.codec.prompt(messages, text=text, prefix=prefix, chat=self.generation.chat)


class AbstractMethod(ABC, Generic[I_contra, O_co]):
    """One implementation of a paradigm. An instance serves one stage of a program and keeps no state between calls."""

    def prepare(self, progress: Progress) -> None:
        """Fetch what the method needs beside models, before anything runs.

        Raises:
            RunError: it cannot be had.
        """

    @abstractmethod
    def run(self, value: I_contra, context: StageContext) -> Work[O_co]:
        """Turn one segment into what the contract says.

        The result must satisfy the method's declared contract (the executor checks it), be a function of `value`,
        `context` and the answers alone, and hold at most `context.budget` new tokens.
        """


class AbstractDrafting(AbstractMethod[I_contra, O_co], ABC):
    """A method that can also draft inside the loop of a verifier right behind it."""

    @abstractmethod
    def drafter(
        self, model: LoadedModel, slot: str, builder: TreeBuilder, *, size: int, least: float = 0.0
    ) -> JointDrafter:
        """A drafter for rows of a model.

        Args:
            model: the target.
            slot: this stage's name in the flow.
            builder: the shape of its trees.
            size: most nodes of a tree.
            least: tokens of a smaller chance are not drafted.
        """


class AbstractDecompose(AbstractMethod[Segment, Branches[Segment]], ABC):
    """Splits one segment into a family of the same kind."""
