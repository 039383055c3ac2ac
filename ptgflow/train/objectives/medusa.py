"""Medusa-1: cross-entropy of each head, those further ahead weighing less (arXiv 2401.10774, section 2.2.1)."""

from typing import Final, final

import torch
from torch import nn

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.medusa import MedusaNet
from ptgflow.train.batches import Batch
from ptgflow.train.objectives.foreseen import foreseen
from ptgflow.train.objectives.objective import Loss, Teacher

DECAY: Final = 0.8
"""The weight of head k is this to the power of k."""


@final
class MedusaObjective:
    """The base is frozen; the last of the states in a batch is its normed final state."""

    def __init__(self, config: HeadConfig, teacher: Teacher) -> None:
        """Start from heads that foresee what the target's own does (section 2.1.1)."""
        self.config = config
        self._net = MedusaNet(config)
        self._teacher = teacher
        if config.own_output:
            with torch.no_grad():
                for head in range(config.heads):
                    self._net.get_parameter(f"{head}.{config.layers}.weight").copy_(teacher.output)

    @property
    def network(self) -> nn.Module:
        return self._net

    def loss(self, batch: Batch) -> Loss:
        states = batch.states[..., -self.config.base.hidden_size :]
        total, weights, hits = states.new_zeros(()), 0.0, []
        for number, head in enumerate(self._net):
            learnt = foreseen(batch, self._teacher, 2 + number)
            out = head(states[learnt.known])
            logits = out if self.config.own_output else out @ self._teacher.output.T
            weight = DECAY**number
            total, weights = total + weight * learnt.cross_entropy(logits), weights + weight
            hits.append(learnt.hits(logits))
        return Loss(value=total / weights, hits=tuple(hits), tokens=int(batch.answers.sum()))
