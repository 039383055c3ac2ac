"""Options of what is opened again: which rule, and what it is told. No torch."""

from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field

from ptgflow.contracts import Conflict, StageOptions

Remask = Literal["none", "remdm", "p2", "gibbs", "uninformed", "wino"]

REMASK_PARAMETERS: Final[dict[str, dict[Remask, str]]] = {
    "remask_mode": {"remdm": "mode"},
    "remask_steps": {"remdm": "steps", "p2": "steps"},
    "remask_eta": {"remdm": "eta", "p2": "eta"},
    "remask_t_on": {"remdm": "t_on"},
    "remask_t_off": {"remdm": "t_off"},
    "remask_alpha_on": {"remdm": "alpha_on"},
    "remask_schedule": {"p2": "schedule"},
    "remask_k": {"gibbs": "k"},
    "remask_tau": {"gibbs": "tau"},
    "remask_rounds": {"gibbs": "rounds", "uninformed": "rounds"},
    "remask_probability": {"uninformed": "probability"},
    "remask_threshold": {"wino": "threshold_back"},
}
"""Option -> the re-maskers that it is for, and its name there."""

T_ON: Final = 0.55
T_OFF: Final = 0.05


class RemaskOptions(StageOptions):
    """What is opened again, and the parameters of each rule: null is the value in its paper or code."""

    remask: Remask = Field(default="none", description="what re-opens settled positions")
    remask_mode: Literal["cap", "rescale", "conf", "loop"] | None = Field(
        default=None,
        description="of `remdm`: how its probability follows from the schedule (its paper, section 4.1); null: cap",
    )
    remask_steps: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="of `remdm` and `p2`: rounds of the schedule, after which nothing is opened; null: 32 and 16",
    )
    remask_eta: float | None = Field(
        default=None,
        ge=0.0,
        description="of `remdm` but for mode conf: (largest) probability, a share; null: cap 0.008, rescale 0.015, "
        "loop 0.02. Of `p2`: weight of the doubt about what stands, 0 opens it last; null: 1",
    )
    remask_t_on: float | None = Field(
        default=None, gt=0.0, lt=1.0, description="of remask_mode=loop: time at which it begins; null: 0.55"
    )
    remask_t_off: float | None = Field(
        default=None, gt=0.0, lt=1.0, description="of remask_mode=loop: time at which it ends; null: 0.05"
    )
    remask_alpha_on: float | None = Field(
        default=None, gt=0.0, lt=1.0, description="of remask_mode=loop: share that is written meanwhile; null: 0.9"
    )
    remask_schedule: Literal["linear", "cosine"] | None = Field(
        default=None, description="of `p2`: how many are left masked when; null: linear"
    )
    remask_k: int | None = Field(
        default=None, ge=1, le=1024, description="of `gibbs`: positions opened at a time; null: 1"
    )
    remask_tau: float | None = Field(
        default=None, gt=0.0, description="of `gibbs`: above 1 positions are drawn blindly, near 0 the weakest; null: 1"
    )
    remask_rounds: int | None = Field(
        default=None,
        ge=0,
        le=1024,
        description="rounds of each block in which something is opened: of `gibbs` once it is full; null: 4. "
        "Of `uninformed` its first ones; null: 16",
    )
    remask_probability: float | None = Field(
        default=None, ge=0.0, le=1.0, description="of `uninformed`: with which each position is opened; null: 0.1"
    )
    remask_threshold: float | None = Field(
        default=None, ge=0.0, le=1.0, description="of `wino`: a less probable token is opened again; null: 0.9"
    )

    def conflicts(self) -> tuple[Conflict, ...]:
        return (*super().conflicts(), *self._of_other_rules(), *self._of_remdm())

    def _of_other_rules(self) -> Iterator[Conflict]:
        """Parameters that the re-masker does not have."""
        for option, rules in REMASK_PARAMETERS.items():
            if getattr(self, option) is not None and self.remask not in rules:
                reason = f"{option} is of remask={' or '.join(rules)}, and remask is {self.remask}"
                remedies = (f"{option}=null", *(f"remask={rule}" for rule in rules))
                yield Conflict(reason=reason, remedies=remedies)

    def _of_remdm(self) -> Iterator[Conflict]:
        """Parameters of its other modes, or out of their range."""
        if self.remask != "remdm":
            return
        mode, eta = self.remask_mode or "cap", self.remask_eta
        if eta is not None and mode == "conf":
            reason = "remask_eta is of the other modes of remdm, and remask_mode is conf"
            yield Conflict(reason=reason, remedies=("remask_eta=null", "remask_mode=cap"))
        elif eta is not None and eta > 1.0:
            yield Conflict(reason=f"remask_eta={eta} of remask=remdm is a share", remedies=("remask_eta=null",))
        for option in ("remask_t_on", "remask_t_off", "remask_alpha_on"):
            if getattr(self, option) is not None and mode != "loop":
                reason = f"{option} is of remask_mode=loop, and remask_mode is {mode}"
                yield Conflict(reason=reason, remedies=(f"{option}=null", "remask_mode=loop"))
        on, off = self.remask_t_on or T_ON, self.remask_t_off or T_OFF
        if mode == "loop" and off >= on:
            reason = f"the loop of remdm begins at time {on} and ends at {off}, and time goes from 1 to 0"
            yield Conflict(reason=reason, remedies=(f"remask_t_off={on / 2:g}",))
