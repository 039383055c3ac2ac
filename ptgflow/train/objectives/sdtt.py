"""Self-distillation through time (arXiv 2410.21035): one step of the student is to say what several of the teacher do.

The teacher goes down from noise t in steps of 1/m: a hole is filled in a step from t to s with the chance (t - s) / t,
by a draw from its law (the ancestral sampler of MDLM, arXiv 2406.07524). The target at each hole is the law that the
teacher had there when it filled it, or had last where it did not (Algorithm 1 of the paper). The student sees the first
state alone. Done again from what came out, it halves the steps once more (iterated SDTT, Eq. 22 of the survey).
"""

from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ptgflow.engine.canvas.adapter import MaskedNet
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.train.batches import Batch
from ptgflow.train.objectives.divergences import Apart
from ptgflow.train.objectives.gating import GatedTarget, ReadText
from ptgflow.train.objectives.objective import Loss, Teacher
from ptgflow.train.objectives.windows import Windows, drawn_windows


@final
class SdttObjective:
    """Student and teacher start as the same adapters; the teacher's stay as they are."""

    def __init__(
        self, heads: Heads, teacher: Teacher, *, steps: int, grid: int, apart: Apart, anchors: int, seed: int
    ) -> None:
        """Lay adapters beside the target twice.

        Args:
            heads: of kind `masked`.
            teacher: the target; every token can be written.
            steps: of the teacher, that are one of the student's.
            grid: m, steps from all holes to none.
            apart: how far the laws are apart.
            anchors: windows of each answer in a step, drawn anew for each batch.
            seed: of the draws.

        Raises:
            RunError: whatever loading a model raises.
        """
        assert heads.config.block_length, "a masked model has a block length"
        self.config = heads.config
        self._length = heads.config.block_length
        self._net, self._elder = _net_of(heads), _net_of(heads).requires_grad_(False).to(teacher.model.device)
        self._teacher = teacher
        self._target, self._elders = GatedTarget(teacher.model, self._net), GatedTarget(teacher.model, self._elder)
        self._steps, self._grid, self._apart = steps, grid, apart
        self._anchors, self._seed = anchors, seed

    @property
    def network(self) -> nn.Module:
        return self._net

    def loss(self, batch: Batch) -> Loss:
        generator = torch.Generator().manual_seed((self._seed << 32) + batch.step)
        # A student's step has to end at t >= 0.
        least = self._steps / self._grid
        drawn = drawn_windows(
            batch,
            self._teacher.model.codec.eos_ids,
            length=self._length,
            anchors=self._anchors,
            noise=(least, 1.0),
            generator=generator,
        )
        text = self._target.read(batch.tokens)
        wanted = drawn.holes[..., 1:] & drawn.learnt[..., 1:]
        with torch.no_grad():
            targets = self._targets(text, drawn, generator)[wanted]
        states = self._states(self._target, self._net, text, drawn, drawn.tokens, drawn.holes)
        laws = (states[wanted] @ self._teacher.output.T).float().log_softmax(dim=-1)
        each = self._apart(targets, laws)
        right = float((laws.argmax(dim=-1) == targets.argmax(dim=-1)).sum()) / max(len(each), 1)
        return Loss(value=each.sum() / max(len(each), 1), hits=(right,), tokens=len(each))

    def _targets(
        self, text: ReadText, drawn: Windows, generator: torch.Generator
    ) -> Float[Tensor, "batch anchors behind vocab"]:
        """What the teacher thinks at every hole but the first, which the target itself fills."""
        output = self._teacher.output
        rows = torch.arange(len(drawn.anchors), device=drawn.anchors.device)[:, None]
        first = (text.states[rows, drawn.anchors] @ output.T).float().log_softmax(dim=-1)
        tokens, holes, left = drawn.tokens, drawn.holes, drawn.share
        found = first.new_zeros(*tokens.shape[:2], tokens.shape[2] - 1, first.shape[-1])
        for _ in range(self._steps):
            states = self._states(self._elders, self._elder, text, drawn, tokens, holes)
            open_ = holes[..., 1:]
            found[open_] = (states[open_] @ output.T).float().log_softmax(dim=-1)
            after = (left - 1.0 / self._grid).clamp(min=0.0)
            chance = torch.rand(holes.shape, generator=generator).to(left.device)
            filled = holes & (chance < (left - after) / left)
            laws = torch.cat((first[..., None, :], found), dim=-2)[filled]
            tokens = tokens.masked_scatter(filled, _draws(laws, generator))
            holes, left = holes & ~filled, after
            if not bool(holes.any()):
                break
        return found

    def _states(
        self,
        target: GatedTarget,
        net: MaskedNet,
        text: ReadText,
        drawn: Windows,
        tokens: Int[Tensor, "batch anchors window"],
        holes: Bool[Tensor, "batch anchors window"],
    ) -> Float[Tensor, "batch anchors behind hidden"]:
        """What predicts every place but the first."""
        embedded = self._teacher.model.embed(tokens[..., :-1]).float()
        embedded = torch.where(holes[..., :-1, None], net.masks[0].to(embedded.dtype), embedded)
        return target.windows(text, drawn.anchors, embedded, mutual=True)


def _net_of(heads: Heads) -> MaskedNet:
    net = MaskedNet(heads.config)
    heads.fill(net)
    return net


def _draws(laws: Float[Tensor, "holes vocab"], generator: torch.Generator) -> Int[Tensor, " holes"]:
    """A token for each law; drawn on the processor, so that devices agree."""
    if not len(laws):
        return torch.zeros(0, dtype=torch.long, device=laws.device)
    return torch.multinomial(laws.exp().cpu(), 1, generator=generator)[:, 0].to(laws.device)
