"""Hydra: each head learns the target's own distribution, given the tokens before (arXiv 2402.05109)."""

from typing import final

import torch
from torch import nn

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.hydra import HydraNet
from ptgflow.train.batches import Batch
from ptgflow.train.objectives.foreseen import foreseen
from ptgflow.train.objectives.objective import Loss, Teacher


@final
class HydraObjective:
    """The base is frozen; the last of the states in a batch is its normed final state.

    Heads read the true tokens of the answer. All weigh the same, as in the authors' code.
    """

    def __init__(self, config: HeadConfig, teacher: Teacher) -> None:
        """Start from heads that foresee what the target's own does."""
        self.config = config
        self._net = HydraNet(config)
        self._teacher = teacher
        with torch.no_grad():
            for head in range(config.heads if config.own_output else 0):
                self._net.get_parameter(f"hydra_lm_head.{head}.weight").copy_(teacher.output)
                self._net.get_parameter(f"hydra_lm_head.{head}.bias").zero_()

    @property
    def network(self) -> nn.Module:
        return self._net

    def loss(self, batch: Batch) -> Loss:
        net, teacher = self._net, self._teacher
        states = batch.states[..., -self.config.base.hidden_size :]
        # What the target predicts is wanted from the last token of a prompt on.
        begin = max(int(batch.answers.any(0).nonzero()[0]) - 1, 0)
        with torch.no_grad():
            law = (states[:, begin:] @ teacher.output.T).float().softmax(dim=-1)
            embedded = teacher.model.embed(batch.tokens).to(states.dtype)
        total, hits = states.new_zeros(()), []
        for head in range(self.config.heads):
            learnt = foreseen(batch, teacher, 2 + head)
            rows, at = learnt.known.nonzero(as_tuple=True)
            out = net.ahead(head, states[rows, at], [embedded[rows, at + 1 + one] for one in range(head + 1)])
            logits = net.hydra_lm_head[head](out) if self.config.own_output else out @ teacher.output.T
            # Position t foresees the token at t + 2 + head: that which the target predicts at t + 1 + head.
            total = total + learnt.soft_cross_entropy(logits, law[rows, at + 1 + head - begin])
            hits.append(learnt.hits(logits))
        return Loss(value=total / self.config.heads, hits=tuple(hits), tokens=int(batch.answers.sum()))
