"""EAGLE-3: soft cross-entropy to the target's own distribution over several unrolled steps (arXiv 2503.01840, 3.2)."""

from typing import Final, final

import torch
from torch import nn

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.eagle import EagleNet, Past
from ptgflow.train.batches import Batch
from ptgflow.train.objectives.objective import Loss, Teacher

DECAY: Final = 0.8
"""The weight of step s is this to the power of s."""


@final
class EagleObjective:
    """States in a batch are those at the head's taps, and behind them the normed final state, for the teacher."""

    def __init__(self, config: HeadConfig, teacher: Teacher, *, steps: int) -> None:
        """Start from random weights, and the target's own output matrix.

        Args:
            config: the head.
            teacher: the target.
            steps: how many are unrolled: as many as drafts are deep, or a few fewer.
        """
        self.config = config
        self._net = EagleNet(config)
        self._teacher = teacher
        self._steps = steps
        with torch.no_grad():
            self._net.lm_head.weight.copy_(teacher.output)

    @property
    def network(self) -> nn.Module:
        return self._net

    def loss(self, batch: Batch) -> Loss:
        size = self.config.base.hidden_size
        net, teacher = self._net, self._teacher
        # Before it nothing is learnt of any row: those positions are only attended to.
        begin = max(int(batch.answers.any(0).nonzero()[0]) - 1, 0)
        with torch.no_grad():
            # What the target predicts at each position, among the tokens that can be drafted.
            law = (batch.states[:, begin:, -size:] @ teacher.output.T).float().softmax(dim=-1)
        state = net.fc(batch.states[..., : len(self.config.taps) * size])
        past: Past = []
        total, weights, hits = state.new_zeros(()), 0.0, []
        for step in range(self._steps):
            read = batch.ahead(1 + step)[:, begin if step else 0 :]
            state = net.step(state, teacher.model.embed(read), past, begin)
            # Position t foresees the token at t + 2 + step: that which the target predicts at t + 1 + step.
            learnt = batch.learnt(2 + step)[:, begin:]
            wanted = teacher.drafted[batch.ahead(2 + step)[:, begin:]]
            known = learnt & (wanted >= 0)
            logits = net.logits(state[known]).float()
            goal = law.roll(-(1 + step), dims=1)[known]
            loss = -(goal * logits.log_softmax(dim=-1)).sum() / max(len(goal), 1)
            total, weights = total + DECAY**step * loss, weights + DECAY**step
            hits.append(float((logits.argmax(-1) == wanted[known]).sum()) / max(int(learnt.sum()), 1))
        return Loss(value=total / weights, hits=tuple(hits), tokens=int(batch.answers.sum()))
