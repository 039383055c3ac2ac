"""One-shot generation of short answers: a window of masks right behind the prompt, and all that it is to say.

The loss is the plain cross-entropy of a non-autoregressive model (Gu et al., arXiv 1711.02281), and beside it that of a
length head (Mask-Predict, arXiv 1904.09324).
"""

from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.oneshot.network import OneShotNet, length_classes
from ptgflow.train.batches import Batch
from ptgflow.train.objectives.gating import GatedTarget
from ptgflow.train.objectives.objective import Loss, Teacher
from ptgflow.train.objectives.oneshot_losses import length_loss


class _Answers(NamedTuple):
    """What the windows of a batch are to say."""

    anchors: Int[Tensor, "batch 1"]
    """The last place of each prompt."""
    tokens: Int[Tensor, "batch places"]
    """The answer, and end tokens behind it."""
    lengths: Int[Tensor, " batch"]
    """Tokens of each answer without its end."""


@final
class OneShotObjective:
    """The base is frozen. A window of `block_length` places follows the prompt, which is read without adapters.

    The first token is what the base itself says, and nothing is learnt of it. In some windows the length is told: end
    tokens stand behind the answer's places, as they do where a length is tried.
    """

    def __init__(
        self, config: HeadConfig, teacher: Teacher, *, told_lengths: float, length_weight: float, seed: int
    ) -> None:
        """Start from a mask that is noise like embeddings, and adapters that do nothing.

        Args:
            config: places and rank.
            teacher: the target; every token can be written.
            told_lengths: share of windows whose length is told, drawn anew for each batch.
            length_weight: of the length head's loss.
            seed: of the draws.

        Raises:
            RunError: whatever loading a model raises.
        """
        assert config.block_length, "a window has places"
        self.config = config
        self._places = config.block_length
        self._net = OneShotNet(config)
        self._teacher = teacher
        self._target = GatedTarget(teacher.model, self._net)
        self._told, self._length_weight, self._seed = told_lengths, length_weight, seed
        self._end = teacher.model.codec.end_id
        with torch.no_grad():
            some = torch.arange(0, teacher.model.vocab_size, max(teacher.model.vocab_size // 1024, 1))
            self._net.masks.mul_(teacher.model.embed(some.to(teacher.model.device)).float().std().cpu())

    @property
    def network(self) -> OneShotNet:
        return self._net

    def loss(self, batch: Batch) -> Loss:
        asked = self._asked(batch)
        generator = torch.Generator().manual_seed((self._seed << 32) + batch.step)
        told = (torch.rand(len(asked.tokens), generator=generator) < self._told).to(asked.tokens.device)
        states = self._states(batch, asked, told)
        place = torch.arange(1, self._places, device=states.device)
        inside = place < asked.lengths[:, None]
        wanted = inside | ~told[:, None]
        logits = (states[wanted] @ self._teacher.output.T).float()
        truth = asked.tokens[:, 1:]
        value = F.cross_entropy(logits, truth[wanted])
        right = torch.zeros_like(wanted)
        right[wanted] = logits.argmax(dim=-1) == truth[wanted]
        classes = length_classes(self._places)
        # A window that was told its length has nothing to foresee.
        guessed = self._net.lengths(states[~told].float())
        sources = torch.zeros_like(asked.lengths)
        if len(guessed):
            own = length_loss(guessed, asked.lengths[~told], sources[~told], classes)
            value = value + self._length_weight * own
        hits = (
            _share(right[inside]),
            _share((right | ~wanted).all(dim=1)),
            _share(guessed.argmax(dim=-1) == asked.lengths[~told]),
        )
        return Loss(value=value, hits=hits, tokens=int(wanted.sum()))

    def _states(
        self, batch: Batch, asked: _Answers, told: Bool[Tensor, " batch"]
    ) -> Float[Tensor, "batch read hidden"]:
        """What stands in each window. The last place foresees what is behind it, and is not read."""
        place = torch.arange(self._places - 1, device=asked.tokens.device)
        shown = told[:, None] & (place >= asked.lengths[:, None])
        embedded = self._teacher.model.embed(asked.tokens[:, :-1]).float()
        embedded = torch.where(shown[..., None], embedded, self._net.masks[0].to(embedded.dtype))
        prompts = batch.tokens[:, : int(asked.anchors.max()) + 1]
        return self._target.windows(self._target.read(prompts), asked.anchors, embedded[:, None], mutual=True)[:, 0]

    def _asked(self, batch: Batch) -> _Answers:
        """The answers as windows."""
        device, ends = batch.tokens.device, torch.tensor(sorted(self._teacher.model.codec.eos_ids))
        anchors = batch.answers.long().argmax(dim=1, keepdim=True) - 1
        count = batch.answers.sum(dim=1)
        place = torch.arange(self._places, device=device)
        padded = F.pad(batch.tokens, (0, self._places + 1))
        last = padded.gather(1, anchors + count[:, None])
        ended = torch.isin(last, ends.to(device))
        # Without an end token of its own an answer ended at its stop string.
        end = torch.where(ended, last, self._end)
        lengths = count - ended[:, 0].long()
        tokens = torch.where(place < lengths[:, None], padded.gather(1, anchors + 1 + place), end)
        return _Answers(anchors=anchors, tokens=tokens, lengths=lengths)


def _share(right: Bool[Tensor, " cases"]) -> float:
    """How many of some cases are right; 1 of none."""
    return float(right.float().mean()) if len(right) else 1.0
