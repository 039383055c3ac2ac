"""What an objective brings to training."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.models.model import LoadedModel
from ptgflow.train.batches import Batch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Teacher:
    """What the target knows and is learnt from it."""

    model: LoadedModel
    vocabulary: Int[Tensor, " draft_vocab"]
    """Ids of the tokens that can be drafted, ascending."""
    output: Float[Tensor, "draft_vocab hidden"]
    """Their rows of the target's output matrix."""
    drafted: Int[Tensor, " vocab"]
    """For each token its number in the draft vocabulary; -1: it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What one batch says."""

    value: Tensor
    """To be minimised: a mean over tokens."""
    hits: tuple[float, ...]
    """For each head, or each step ahead: the share of tokens that its likeliest is."""
    tokens: int
    """Tokens of answers in the batch."""


@runtime_checkable
class Objective(Protocol):
    """A network under training, and what it is trained for."""

    @property
    def network(self) -> nn.Module:
        """What is trained; its state dict is what a checkpoint keeps."""
        ...

    def loss(self, batch: Batch) -> Loss:
        """The published loss of a batch. What is drawn for it is a function of the batch and of its step alone."""
        ...


@runtime_checkable
class HeadObjective(Objective, Protocol):
    """One kind of head under training."""

    @property
    def config(self) -> HeadConfig:
        """What it is."""
        ...
