"""Blockwise: the mean of the cross-entropies of all positions, or one of them drawn (arXiv 1811.03115, section 6)."""

import random
from typing import Literal, final

import torch
from torch import Tensor, nn

from ptgflow.engine.heads.blockwise import BlockwiseNet
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.train.batches import Batch
from ptgflow.train.objectives.foreseen import foreseen
from ptgflow.train.objectives.objective import Loss, Teacher

SubLoss = Literal["mean", "random"]


@final
class BlockwiseObjective:
    """The base is frozen, as in the paper's first setting; the last of the states is its normed final state."""

    def __init__(self, config: HeadConfig, teacher: Teacher, *, sub_loss: SubLoss, seed: int) -> None:
        """Start from the target's own output for all positions.

        Args:
            config: the heads.
            teacher: the target.
            sub_loss: `mean`, or `random`: each batch trains one position, drawn uniformly, whose loss is the mean's
                unbiased estimate at less cost.
            seed: of the draws.
        """
        self.config = config
        self._net = BlockwiseNet(config)
        self._teacher = teacher
        self._sub_loss, self._seed = sub_loss, seed

    @property
    def network(self) -> nn.Module:
        return self._net

    def loss(self, batch: Batch) -> Loss:
        teacher, heads = self._teacher, self.config.heads
        states = self._net(batch.states[..., -self.config.base.hidden_size :])
        trained = list(range(heads))
        if self._sub_loss == "random":
            trained = [random.Random(f"{self._seed} {batch.step}").randrange(heads)]
        losses: list[Tensor] = []
        hits: list[float] = []
        for number in range(heads):
            learnt = foreseen(batch, teacher, 2 + number)
            with torch.set_grad_enabled(number in trained):
                logits = states[..., number, :][learnt.known] @ teacher.output.T
                if number in trained:
                    losses.append(learnt.cross_entropy(logits))
            hits.append(learnt.hits(logits))
        return Loss(value=torch.stack(losses).mean(), hits=tuple(hits), tokens=int(batch.answers.sum()))
