"""Gated LoRA: cross-entropy of masks and of the sampler, and masks near the target's own states (arXiv 2507.11851)."""

from typing import final

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.gated_lora import GatedLoraNet, SamplerBlock
from ptgflow.train.batches import Batch
from ptgflow.train.objectives.foreseen import Foreseen
from ptgflow.train.objectives.gating import GatedTarget, drawn_anchors
from ptgflow.train.objectives.objective import Loss, Teacher


@final
class GatedLoraObjective:
    """The base is frozen; the last of the states in a batch is its normed final state.

    For each mask the loss is the sum of three, which weigh the same: cross-entropy of what the output matrix makes of
    its state, the same of what the sampler makes of it given the true token before, and the mean square of the distance
    to the state from which the target itself predicts that token (latent consistency).
    """

    def __init__(self, config: HeadConfig, teacher: Teacher, *, anchors: int | None, seed: int) -> None:
        """Start from masks that are noise like embeddings, and adapters that do nothing.

        Args:
            config: the heads.
            teacher: the target.
            anchors: behind how many positions of each text masks stand, drawn anew for each batch; None: behind all.
            seed: of the draws.

        Raises:
            RunError: whatever loading a model raises.
        """
        self.config = config
        self._net = GatedLoraNet(config)
        self._teacher = teacher
        self._target = GatedTarget(teacher.model, self._net)
        self._anchors, self._seed = anchors, seed
        last = self._net.sampler[1]
        assert isinstance(last, SamplerBlock), "the network made it"
        with torch.no_grad():
            self._net.masks.mul_(teacher.model.embed(teacher.vocabulary).float().std().cpu())
            # What the output matrix reads has this factor; from 1 it would take thousands of steps to get there.
            last.norm.weight.copy_(self._target.output_factor())

    @property
    def network(self) -> nn.Module:
        return self._net

    def loss(self, batch: Batch) -> Loss:
        net, teacher = self._net, self._teacher
        anchors, valid = self._drawn(batch)
        states = self._target.states(batch.tokens, anchors)
        own = batch.states[..., -self.config.base.hidden_size :]
        total, hits = states.new_zeros(()), []
        for mask in range(self.config.heads):
            wanted = teacher.drafted[batch.ahead(2 + mask).gather(1, anchors)]
            learnt = batch.learnt(2 + mask).gather(1, anchors) & valid
            known = learnt & (wanted >= 0)
            foreseen = Foreseen(known, wanted[known], int(learnt.sum()))
            rows, at = known.nonzero(as_tuple=True)[0], anchors[known]
            state = states[:, :, mask][known]
            # The mask stands in for the token at t + 1 + i, of which the sampler is told.
            before = teacher.model.embed(batch.tokens[rows, at + 1 + mask]).to(state.dtype)
            logits = net.sampled(before, state) @ teacher.output.T
            distance = (state.float() - own[rows, at + 1 + mask]).square().mean(dim=-1)
            total = total + foreseen.cross_entropy(state @ teacher.output.T) + foreseen.cross_entropy(logits)
            total = total + distance.sum() / max(len(distance), 1)
            hits.append(foreseen.hits(logits))
        return Loss(value=total / self.config.heads, hits=tuple(hits), tokens=int(batch.answers.sum()))

    def _drawn(self, batch: Batch) -> tuple[Int[Tensor, "batch anchors"], Bool[Tensor, "batch anchors"]]:
        """Positions of each text from which the token after the next is to be learnt; and which of them are that."""
        generator = torch.Generator().manual_seed((self._seed << 32) + batch.step)
        return drawn_anchors(batch.learnt(2), self._anchors, generator)
