"""Masked diffusion of an autoregressive model: cross-entropy of holes in windows behind places of an answer.

The loss is that of LLaDA (arXiv 2502.09992, Eq. 3): a share t of each window is masked, and the cross-entropy at its
holes is weighed by 1 / t. Windows see each other as blocks of BD3-LM do (arXiv 2503.09573): not at all, and the text
before them as it is. Logits are shifted as in DiffuLLaMA (arXiv 2410.17891).
"""

from typing import final

import torch
import torch.nn.functional as F
from torch import nn

from ptgflow.engine.canvas.adapter import MaskedNet
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.train.batches import Batch
from ptgflow.train.objectives.gating import GatedTarget
from ptgflow.train.objectives.objective import Loss, Teacher
from ptgflow.train.objectives.windows import drawn_windows


@final
class MdmObjective:
    """The base is frozen. Behind drawn places of each answer stand windows with drawn holes.

    A window of `block_length` places follows an anchor. Its first token is predicted by the anchor, which is read
    without adapters, so that is what the base itself says and nothing is learnt of it; those after it are
    predicted from
    the window's own places. Behind the end of an answer that the base ended itself every place has the end token.
    """

    def __init__(
        self, config: HeadConfig, teacher: Teacher, *, anchors: int, noise: tuple[float, float], seed: int
    ) -> None:
        """Start from a mask that is noise like embeddings, and adapters that do nothing.

        Args:
            config: block length and rank.
            teacher: the target; every token can be written.
            anchors: windows of each answer in a step, drawn anew for each batch.
            noise: least and largest share of masked places; t is uniform in between (clipped as in BD3-LM).
            seed: of the draws.

        Raises:
            RunError: whatever loading a model raises.
        """
        assert config.block_length, "a masked model has a block length"
        self.config = config
        self._length = config.block_length
        self._net = MaskedNet(config)
        self._teacher = teacher
        self._target = GatedTarget(teacher.model, self._net)
        self._anchors, self._noise, self._seed = anchors, noise, seed
        with torch.no_grad():
            some = torch.arange(0, teacher.model.vocab_size, max(teacher.model.vocab_size // 1024, 1))
            self._net.masks.mul_(teacher.model.embed(some.to(teacher.model.device)).float().std().cpu())

    @property
    def network(self) -> nn.Module:
        return self._net

    def loss(self, batch: Batch) -> Loss:
        drawn = drawn_windows(
            batch,
            self._teacher.model.codec.eos_ids,
            length=self._length,
            anchors=self._anchors,
            noise=self._noise,
            generator=torch.Generator().manual_seed((self._seed << 32) + batch.step),
        )
        holes = drawn.holes
        # What is behind the window's places is predicted from the one before it; the last place itself is not read.
        embedded = self._teacher.model.embed(drawn.tokens[..., :-1]).float()
        embedded = torch.where(holes[..., :-1, None], self._net.masks[0].to(embedded.dtype), embedded)
        states = self._target.windows(self._target.read(batch.tokens), drawn.anchors, embedded, mutual=True)
        wanted = holes[..., 1:] & drawn.learnt[..., 1:]
        logits = (states[wanted] @ self._teacher.output.T).float()
        truth = drawn.tokens[..., 1:][wanted]
        weight = (1.0 / drawn.share).expand_as(holes[..., 1:])[wanted]
        each = F.cross_entropy(logits, truth, reduction="none")
        value = (each * weight).sum() / max(drawn.count * (self._length - 1), 1)
        right = float((logits.argmax(dim=-1) == truth).sum()) / max(len(truth), 1)
        return Loss(value=value, hits=(right,), tokens=int(wanted.sum()))
