"""Masked diffusion of an autoregressive model: cross-entropy of holes in windows behind places of an answer.

The loss is that of LLaDA (arXiv 2502.09992, Eq. 3): a share t of each window is masked, and the cross-entropy at its
holes is weighed by 1 / t. Windows see each other as blocks of BD3-LM do (arXiv 2503.09573): not at all, and the text
before them as it is. Logits are shifted as in DiffuLLaMA (arXiv 2410.17891).
"""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor, nn

from ptgflow.engine.canvas.adapter import MaskedNet
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.train.batches import Batch
from ptgflow.train.objectives.gating import GatedTarget, drawn_anchors
from ptgflow.train.objectives.objective import Loss, Teacher


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
        tokens, learnt = self._continued(batch)
        generator = torch.Generator().manual_seed((self._seed << 32) + batch.step)
        able = torch.zeros_like(batch.answers)
        # An anchor has a token of the answer behind it.
        able[:, :-1] = batch.answers[:, 1:]
        anchors, valid = drawn_anchors(able, self._anchors, generator)
        ahead = torch.arange(1, self._length + 1, device=tokens.device)
        places = anchors[..., None] + ahead
        rows = torch.arange(len(tokens), device=tokens.device)[:, None, None]
        inside = tokens[rows, places]
        share = torch.rand(*anchors.shape, 1, generator=generator) * (self._noise[1] - self._noise[0]) + self._noise[0]
        holes = (torch.rand(inside.shape, generator=generator) < share).to(tokens.device)
        # What is behind the window's places is predicted from the one before it; the last place itself is not read.
        embedded = self._teacher.model.embed(inside[..., :-1]).float()
        embedded = torch.where(holes[..., :-1, None], self._net.masks[0].to(embedded.dtype), embedded)
        states = self._target.windows(batch.tokens, anchors, embedded, mutual=True)
        wanted = holes[..., 1:] & learnt[rows, places][..., 1:] & valid[..., None]
        logits = (states[wanted] @ self._teacher.output.T).float()
        truth = inside[..., 1:][wanted]
        weight = (1.0 / share.to(tokens.device)).expand_as(holes[..., 1:])[wanted]
        each = F.cross_entropy(logits, truth, reduction="none")
        value = (each * weight).sum() / max(int(valid.sum()) * (self._length - 1), 1)
        right = float((logits.argmax(dim=-1) == truth).sum()) / max(len(truth), 1)
        return Loss(value=value, hits=(right,), tokens=int(wanted.sum()))

    def _continued(self, batch: Batch) -> tuple[Int[Tensor, "batch long"], Bool[Tensor, "batch long"]]:
        """The texts with end tokens behind those that have ended, and which places are to be learnt."""
        end_ids = torch.tensor(sorted(self._teacher.model.codec.eos_ids), device=batch.tokens.device)
        width = batch.tokens.shape[1] + self._length
        place = torch.arange(width, device=batch.tokens.device)
        answers = F.pad(batch.answers, (0, self._length))
        last = (answers * place).argmax(dim=1, keepdim=True)
        ending = F.pad(batch.tokens, (0, self._length)).gather(1, last)
        ended = torch.isin(ending, end_ids)
        behind = place > last
        tokens = torch.where(behind & ended, ending, F.pad(batch.tokens, (0, self._length)))
        return tokens, answers | (behind & ended)
