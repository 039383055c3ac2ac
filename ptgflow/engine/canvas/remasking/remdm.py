"""ReMDM: what was written before is opened again by chance, as far as the schedule of masking allows."""

from dataclasses import dataclass
from typing import ClassVar, Final, Literal, final

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from ptgflow.engine.canvas.memoryless import Memoryless
from ptgflow.engine.canvas.rules import Settled
from ptgflow.engine.canvas.selectors.certainty import uniform

Mode = Literal["cap", "rescale", "conf", "loop"]

_ETA: Final[dict[Mode, float]] = {"cap": 0.008, "rescale": 0.015, "conf": 1.0, "loop": 0.02}
"""Those of the published scripts."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReMdm(Memoryless):
    """What was written before this round is opened again with probability sigma.

    Wang et al., "Remasking discrete diffusion models with inference-time scaling", arXiv 2503.00307, section 4. With
    alpha the share that is written, going from alpha_t to alpha_s in the round, sigma is at most
    `max` = min(1, (1 - alpha_s) / alpha_t), and

    - `cap`: min(eta, max), eta 0.008;
    - `rescale`: eta max, eta 0.015;
    - `conf`: max times the share of the place in a softmax over what is written of minus its probability when written;
    - `loop`: min(eta, max), eta 0.02, while time is in (`t_off`, `t_on`]. There alpha stays `alpha_on`, up to which it
      rises in proportion before, and from which it rises to 1 afterwards; nothing is opened again before or after.

    Otherwise alpha is 1 - t; time goes from 1 to 0 in `steps` rounds. In the last step alpha_s is 1, so that sigma is 0
    from then on: this is the bound.

    Of the published sampler this is the half that opens. The half that fills is `tau_leaping`, with as many linear
    steps; it fills a hole with probability (alpha_s - alpha_t) / (1 - alpha_t), which for `conf` is the published one
    and for the others leaves out sigma alpha_t / (1 - alpha_t), that makes up for what is opened again.
    """

    name: ClassVar[str] = "remdm"

    mode: Mode = "cap"
    steps: int = 32
    eta: float | None = None
    """None: the published one. `conf` has none."""
    t_on: float = 0.55
    t_off: float = 0.05
    alpha_on: float = 0.9

    def __post_init__(self) -> None:
        assert self.steps >= 1, "there is at least one step"
        assert self.eta is None or (self.mode != "conf" and 0.0 <= self.eta <= 1.0), "eta is a share; conf has none"
        assert 0.0 < self.t_off < self.t_on < 1.0, "the loop begins and ends between 1 and 0"
        assert 0.0 < self.alpha_on < 1.0, "alpha_on is a share"

    def reopen(self, settled: Settled) -> Bool[Tensor, " settled"]:
        chances = uniform(len(settled.positions), settled.written, settled.generator)
        return (chances < self._shares(settled) * self.sigma(settled.round)) & ~settled.fresh

    def sigma(self, done: int) -> float:
        """The probability in the round after `done` ones; for `conf` the sum over all places."""
        t, s = 1.0 - done / self.steps, 1.0 - (done + 1) / self.steps
        if done + 1 >= self.steps or (self.mode == "loop" and not self.t_off < t <= self.t_on):
            return 0.0
        alpha_t = self._alpha(t)
        most = min(1.0, (1.0 - self._alpha(s)) / alpha_t) if alpha_t > 0.0 else 1.0
        eta = _ETA[self.mode] if self.eta is None else self.eta
        return min(eta, most) if self.mode in ("cap", "loop") else eta * most

    def _alpha(self, time: float) -> float:
        if self.mode != "loop":
            return 1.0 - time
        if time > self.t_on:
            return self.alpha_on * (1.0 - time) / (1.0 - self.t_on)
        return self.alpha_on if time > self.t_off else 1.0 - (1.0 - self.alpha_on) * time / self.t_off

    def _shares(self, settled: Settled) -> Float64[Tensor, " settled"]:
        """What the probability at each place is multiplied with."""
        written = settled.written.double()
        if self.mode != "conf":
            return torch.ones_like(written)
        # A fresh place was a hole before, whose confidence counts as infinite.
        return torch.where(settled.fresh, -torch.inf, -written.exp()).softmax(dim=0).nan_to_num()
