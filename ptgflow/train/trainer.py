"""The training loop: warm-up and cosine, clipped gradients, and checkpoints from which a killed run goes on exactly."""

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import torch

from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM
from ptgflow.errors import RunError
from ptgflow.train.batches import Order, collated
from ptgflow.train.features import Example
from ptgflow.train.interruptions import wish_to_stop
from ptgflow.train.objectives.objective import Loss, Objective

SAVE_EVERY_S: Final = 180.0
TELL_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast heads learn."""

    epochs: int = 4
    batch_size: int = 8
    rate: float = 1e-3
    """The highest learning rate."""
    warmup: float = 0.05
    """The share of steps in which it rises from 0; after that it falls to a twentieth along a cosine."""
    clip: float = 1.0
    """Largest norm of all gradients together."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where training is."""

    step: int
    steps: int
    loss: float
    """Of the steps since it was last told."""
    hits: tuple[float, ...]
    tokens: int
    """Tokens of answers that were learnt from, over all epochs so far."""
    tokens_per_s: float
    seconds_left: float


@dataclass(slots=True)
class _Totals:
    """What training has seen: part of a checkpoint, so that a resumed run reports the same."""

    tokens: int = 0
    seconds: float = 0.0
    first_loss: float = math.nan
    last_loss: float = math.nan
    """A moving average over about ten steps."""
    hits: tuple[float, ...] = ()
    """The same of the share of tokens that each head, or step, foresees."""


@final
class Trainer:
    """Trains one objective on examples."""

    def __init__(
        self,
        objective: Objective,
        examples: Sequence[Callable[[], Example]],
        lengths: Sequence[tuple[int, int]],
        schedule: Schedule,
        *,
        device: torch.device,
        checkpoint: Path,
        key: str,
        mixed: bool,
    ) -> None:
        """Prepare, and take up the checkpoint if there is one.

        Args:
            objective: what is learnt.
            examples: how each is read.
            lengths: where the answer of each starts, and how many positions it has.
            schedule: how long and how fast.
            device: where.
            checkpoint: the file that a killed run goes on from.
            key: what the run is: a checkpoint of another is refused.
            mixed: whether products are computed in bfloat16.

        Raises:
            RunError: FILE_PROBLEM, for a checkpoint that cannot be read or belongs to another run.
        """
        self._objective, self._examples, self._schedule = objective, examples, schedule
        self._device, self._checkpoint, self._key, self._mixed = device, checkpoint, key, mixed
        self._order = Order(lengths, batch_size=schedule.batch_size, epochs=schedule.epochs, seed=schedule.seed)
        self._weights = [one for one in objective.network.parameters() if one.requires_grad]
        self._optimizer = torch.optim.AdamW(self._weights, lr=schedule.rate, betas=(0.9, 0.95), weight_decay=0.0)
        self.totals = _Totals()
        self._step = 0
        if checkpoint.is_file():
            self._load()

    def run(self, tell: Callable[[Progress], None], *, until: int | None = None) -> None:
        """Train to the end, or to a step; a checkpoint is written every few minutes and at the end.

        Raises:
            KeyboardInterrupt: somebody wants to stop (Ctrl-C, SIGTERM, or whoever is told). The step under way is
                finished first, and saved.
        """
        saved = told = time.monotonic()
        recent: list[Loss] = []
        stop = len(self._order) if until is None else min(until, len(self._order))
        with wish_to_stop() as wish:
            while self._step < stop:
                begun = time.monotonic()
                recent.append(self._one())
                now = time.monotonic()
                self.totals.seconds += now - begun
                last = self._step == stop
                if last or now - told > TELL_EVERY_S:
                    try:
                        self._tell(recent, tell)
                    except KeyboardInterrupt:
                        wish.asked = True
                    recent, told = [], now
                if last or wish.asked or now - saved > SAVE_EVERY_S:
                    self.save()
                    saved = now
                if wish.asked:
                    raise KeyboardInterrupt

    def _one(self) -> Loss:
        rows = self._order.steps[self._step]
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        batch = collated([self._examples[row]() for row in rows], self._device, step=self._step)
        with torch.autocast(self._device.type, torch.bfloat16) if self._mixed else nullcontext():
            loss = self._objective.loss(batch)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss.value)
        torch.nn.utils.clip_grad_norm_(self._weights, self._schedule.clip)
        self._optimizer.step()
        self._step += 1
        value, totals = loss.value.detach(), self.totals
        totals.tokens += loss.tokens
        if math.isnan(totals.first_loss):
            totals.first_loss = totals.last_loss = float(value)
            totals.hits = loss.hits
        totals.last_loss += (float(value) - totals.last_loss) / 10
        totals.hits = tuple(old + (new - old) / 10 for old, new in zip(totals.hits, loss.hits, strict=True))
        return Loss(value=value, hits=loss.hits, tokens=loss.tokens)

    def _rate(self) -> float:
        schedule, steps = self._schedule, len(self._order)
        rising = max(int(steps * schedule.warmup), 1)
        if self._step < rising:
            return schedule.rate * (self._step + 1) / rising
        along = (self._step - rising) / max(steps - rising, 1)
        return schedule.rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * along)))

    def _tell(self, recent: Sequence[Loss], tell: Callable[[Progress], None]) -> None:
        totals = self.totals
        loss = float(sum((float(one.value) for one in recent), 0.0) / len(recent))
        hits = tuple(sum(column) / len(recent) for column in zip(*(one.hits for one in recent), strict=True))
        left = (len(self._order) - self._step) * totals.seconds / self._step
        tell(
            Progress(
                step=self._step,
                steps=len(self._order),
                loss=loss,
                hits=hits,
                tokens=totals.tokens,
                tokens_per_s=totals.tokens / max(totals.seconds, 1e-9),
                seconds_left=left,
            )
        )

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        totals = self.totals
        state: dict[str, Any] = {
            "key": self._key,
            "step": self._step,
            "totals": [totals.tokens, totals.seconds, totals.first_loss, totals.last_loss, list(totals.hits)],
            "network": self._objective.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        part = self._checkpoint.with_suffix(f".{os.getpid()}.part")
        try:
            self._checkpoint.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, part)
            part.replace(self._checkpoint)
        except OSError as error:
            file = str(self._checkpoint)
            raise RunError([FILE_PROBLEM(action="write", file=file, reason=error.strerror or error)]) from error
        finally:
            part.unlink(missing_ok=True)

    def _load(self) -> None:
        file = str(self._checkpoint)
        try:
            state: dict[str, Any] = torch.load(self._checkpoint, map_location=self._device, weights_only=True)
        except Exception as error:  # Whatever a damaged archive makes of the reader.
            reason = f"it is damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
            help = "remove it, and training starts anew"
            raise RunError([FILE_PROBLEM(action="continue", file=file, reason=reason, help=help)]) from error
        if state["key"] != self._key:
            reason = "it is of a run with other data, another model or another schedule"
            help = "remove it, or write output= another folder"
            raise RunError([FILE_PROBLEM(action="continue", file=file, reason=reason, help=help)])
        self._step = state["step"]
        tokens, seconds, first, last, hits = state["totals"]
        self.totals = _Totals(tokens, seconds, first, last, tuple(hits))
        self._objective.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self._step == len(self._order)
