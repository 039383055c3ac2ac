"""ReMDM's schedule: how likely what is written is opened again in a round, and how likely a hole is filled."""

from dataclasses import dataclass
from typing import Final, Literal

Mode = Literal["cap", "rescale", "conf", "loop"]

_ETA: Final[dict[Mode, float]] = {"cap": 0.008, "rescale": 0.015, "conf": 1.0, "loop": 0.02}
"""Those of the published scripts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReMdmSchedule:
    """Wang et al., "Remasking discrete diffusion models with inference-time scaling", arXiv 2503.00307, section 4.

    With alpha the share that is written, going from alpha_t to alpha_s in a round, what is written is opened again with
    probability sigma, which is at most `max` = min(1, (1 - alpha_s) / alpha_t), and a hole is filled with probability
    (alpha_s - (1 - sigma) alpha_t) / (1 - alpha_t): so the share that is written is alpha_s again. Sigma is

    - `cap`: min(eta, max), eta 0.008;
    - `rescale`: eta max, eta 0.015;
    - `conf`: max times the share of the place in a softmax over what is written of minus its probability when written;
    - `loop`: min(eta, max), eta 0.02, while time is in (`t_off`, `t_on`]. There alpha stays `alpha_on`, up to which it
      rises in proportion before, and from which it rises to 1 afterwards; nothing is opened again before or after.

    Otherwise alpha is 1 - t; time goes from 1 to 0 in `steps` rounds. In the last step alpha_s is 1, so that sigma is 0
    from then on.
    """

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

    def sigma(self, done: int) -> float:
        """The probability of being opened in the round after `done` ones; for `conf` the sum over all places."""
        t, s = self._times(done)
        if done + 1 >= self.steps or (self.mode == "loop" and not self.t_off < t <= self.t_on):
            return 0.0
        alpha_t = self._alpha(t)
        most = min(1.0, (1.0 - self._alpha(s)) / alpha_t) if alpha_t > 0.0 else 1.0
        eta = _ETA[self.mode] if self.eta is None else self.eta
        return min(eta, most) if self.mode in ("cap", "loop") else eta * most

    def reveal(self, done: int) -> float:
        """The probability of a hole to be filled in the round after `done` ones.

        For `conf` no hole has a share in the softmax, so that what is opened again is not made up for.
        """
        if done + 1 >= self.steps:
            return 1.0
        t, s = self._times(done)
        alpha_t, alpha_s = self._alpha(t), self._alpha(s)
        sigma = 0.0 if self.mode == "conf" else self.sigma(done)
        return min(max((alpha_s - (1.0 - sigma) * alpha_t) / (1.0 - alpha_t), 0.0), 1.0)

    def _times(self, done: int) -> tuple[float, float]:
        return 1.0 - done / self.steps, 1.0 - (done + 1) / self.steps

    def _alpha(self, time: float) -> float:
        if self.mode != "loop":
            return 1.0 - time
        if time > self.t_on:
            return self.alpha_on * (1.0 - time) / (1.0 - self.t_on)
        return self.alpha_on if time > self.t_off else 1.0 - (1.0 - self.alpha_on) * time / self.t_off
