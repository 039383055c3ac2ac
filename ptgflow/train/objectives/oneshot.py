"""One-shot generation of short answers: a window of masks right behind the prompt, and all that it is to say.

What is minimised is the loss of the decoder, and beside it, where a window can be told its length, that of a length
head (Mask-Predict, arXiv 1904.09324).
"""

from pathlib import Path
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.oneshot.network import OneShotNet, length_classes
from ptgflow.train.batches import Batch
from ptgflow.train.objectives.gating import GatedTarget
from ptgflow.train.objectives.kept_prompts import KeptPrompts
from ptgflow.train.objectives.objective import Loss, Teacher
from ptgflow.train.objectives.oneshot_losses import length_loss
from ptgflow.train.objectives.oneshot_losses.decoders import DECODERS
from ptgflow.train.objectives.oneshot_losses.windows import WindowBatch


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
        self,
        config: HeadConfig,
        teacher: Teacher,
        *,
        told_lengths: float,
        length_weight: float,
        seed: int,
        kept: Path | None = None,
    ) -> None:
        """Start from a mask that is noise like embeddings, and adapters that do nothing.

        Args:
            config: places, rank and decoder.
            teacher: the target; every token can be written.
            told_lengths: share of windows whose length is told, drawn anew for each batch.
            length_weight: of the length head's loss, where there is one.
            seed: of the draws.
            kept: a folder in which keys and values of prompts are kept while the objective lives; None: they are not,
                and each prompt is read anew in each step.

        Raises:
            RunError: whatever loading a model raises, or FILE_PROBLEM.
        """
        self.config = config
        self._net = OneShotNet(config)
        self._places = self._net.places
        self._decoder = DECODERS[config.decoder or ""]
        self._teacher = teacher
        self._target = GatedTarget(teacher.model, self._net)
        self._kept = None if kept is None else KeptPrompts(self._target, kept)
        self._told, self._length_weight, self._seed = told_lengths, length_weight, seed
        self._end = teacher.model.codec.end_id
        with torch.no_grad():
            some = torch.arange(0, teacher.model.vocab_size, max(teacher.model.vocab_size // 1024, 1))
            self._net.masks.mul_(teacher.model.embed(some.to(teacher.model.device)).float().std().cpu())

    @property
    def network(self) -> OneShotNet:
        return self._net

    def loss(self, batch: Batch) -> Loss:
        windows = self.windows(batch)
        with torch.autocast(windows.logits.device.type, enabled=False):
            value = self._decoder.value(self._net, windows)
            guessed = self._lengths(windows)
            if guessed is not None and len(guessed):
                known = windows.lengths[~windows.told]
                own = length_loss(guessed, known, torch.zeros_like(known), length_classes(self._places))
                value = value + self._length_weight * own
            with torch.no_grad():
                hits = self._hits(windows, guessed)
        return Loss(value=value, hits=hits, tokens=int(windows.lengths.sum()))

    def windows(self, batch: Batch) -> WindowBatch:
        """What the windows of a batch say, and are to say."""
        asked = self._asked(batch)
        generator = torch.Generator().manual_seed((self._seed << 32) + batch.step)
        told = (torch.rand(len(asked.tokens), generator=generator) < self._told).to(asked.tokens.device)
        states = self._states(batch, asked, told)
        logits = (states @ self._teacher.output.to(states.dtype).T).float()
        return WindowBatch(logits=logits, states=states.float(), tokens=asked.tokens, lengths=asked.lengths, told=told)

    def _lengths(self, windows: WindowBatch) -> Float[Tensor, "open classes"] | None:
        """Logits of the lengths of windows that were not told theirs; None: nobody guesses them."""
        return None if self._net.length is None else self._net.lengths(windows.states[~windows.told])

    def _hits(self, windows: WindowBatch, guessed: Float[Tensor, "open classes"] | None) -> tuple[float, ...]:
        """Of what the decoder reads the share of tokens, of whole answers and of lengths that are right."""
        ends = self._teacher.model.codec.eos_ids
        tokens: list[bool] = []
        whole: list[bool] = []
        sized: list[bool] = []
        read = self._decoder.texts(self._net, windows)
        for text, truth, length in zip(read, windows.tokens.tolist(), windows.lengths.tolist(), strict=True):
            end = next((at for at, token in enumerate(text) if token in ends), len(text))
            # The first token is the base's own.
            tokens += [at < end and text[at] == truth[at] for at in range(1, length)]
            whole.append(text[:end] == tuple(truth[:length]))
            sized.append(end == length)
        if guessed is not None:
            sized = (guessed.argmax(dim=-1) == windows.lengths[~windows.told]).tolist()
        return _share(tokens), _share(whole), _share(sized)

    def _states(
        self, batch: Batch, asked: _Answers, told: Bool[Tensor, " batch"]
    ) -> Float[Tensor, "batch places hidden"]:
        """What predicts each place: the prompt's end, and all masks but the last, which foresees what is behind."""
        place = torch.arange(self._places - 1, device=asked.tokens.device)
        shown = told[:, None] & (place >= asked.lengths[:, None])
        embedded = self._teacher.model.embed(asked.tokens[:, :-1]).float()
        embedded = torch.where(shown[..., None], embedded, self._net.masks[0].to(embedded.dtype))
        prompts, lengths = batch.tokens[:, : int(asked.anchors.max()) + 1], asked.anchors[:, 0] + 1
        text = self._target.read(prompts) if self._kept is None else self._kept.read(prompts, lengths)
        first = text.states.gather(1, asked.anchors[..., None].expand(-1, -1, text.states.shape[-1]))
        found = self._target.windows(text, asked.anchors, embedded[:, None], mutual=True)[:, 0]
        return torch.cat((first.to(found.dtype), found), dim=1)

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


def _share(right: list[bool]) -> float:
    """How many of some cases are right; 1 of none."""
    return sum(right) / len(right) if right else 1.0
