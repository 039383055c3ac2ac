"""Where a head learns in a batch, and which tokens: what the losses of heads on the last state have in common."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ptgflow.train.batches import Batch
from ptgflow.train.objectives.objective import Teacher


@dataclass(frozen=True, slots=True, eq=False)
class Foreseen:
    """The token some steps after each position, wherever it is to be learnt and can be drafted."""

    known: Bool[Tensor, "batch positions"]
    wanted: Int[Tensor, " known"]
    """Numbers in the draft vocabulary, at the known positions."""
    learnt: int
    """Positions with a token to be learnt, drafted or not."""

    def cross_entropy(self, logits: Float[Tensor, "known draft_vocab"]) -> Tensor:
        """The mean over the known positions."""
        return F.cross_entropy(logits.float(), self.wanted, reduction="sum") / max(len(self.wanted), 1)

    def soft_cross_entropy(
        self, logits: Float[Tensor, "known draft_vocab"], law: Float[Tensor, "known draft_vocab"]
    ) -> Tensor:
        """The same to a distribution at each position in place of the token."""
        return -(law * logits.float().log_softmax(dim=-1)).sum() / max(len(self.wanted), 1)

    def hits(self, logits: Float[Tensor, "known draft_vocab"]) -> float:
        """The share of all tokens to be learnt that the likeliest is."""
        return float((logits.argmax(-1) == self.wanted).sum()) / max(self.learnt, 1)


def foreseen(batch: Batch, teacher: Teacher, steps: int) -> Foreseen:
    """What a head learns that foresees the token so many steps after a position."""
    labels = teacher.drafted[batch.ahead(steps)]
    learnt = batch.learnt(steps)
    known = learnt & (labels >= 0)
    return Foreseen(known, labels[known], int(learnt.sum()))
