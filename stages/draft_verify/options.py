"""What every drafter's options share: how much is proposed, how much of it is verified, and what is kept. No torch."""

from collections.abc import Callable, Iterator
from typing import Final, Literal

from pydantic import Field, ValidationInfo

from ptgflow.contracts import Conflict, Level, StageOptions

Tree = Literal["chain", "static", "eagle2", "opt_tree", "sequoia", "dyspec", "dynamic_depth"]
Length = Literal["expected_throughput", "fixed", "heuristic", "thompson", "confidence"]
Acceptance = Literal["match", "speculative", "block", "typical", "top_k", "bild"]

RANKS: Final = 8
"""Of how many candidates of a node `static` and `sequoia` know how often they are right."""

PARAMETERS: Final[dict[str, tuple[Acceptance, str]]] = {
    "accept_threshold": ("typical", "threshold"),
    "accept_alpha": ("typical", "alpha"),
    "accept_k": ("top_k", "k"),
    "accept_gap": ("top_k", "gap"),
    "accept_rollback": ("bild", "rollback"),
}
"""Option -> the rule that it is for, and its name there."""

TREE_PARAMETERS: Final[dict[str, dict[Tree, str]]] = {
    "tree_depth": dict.fromkeys(("static", "eagle2", "opt_tree", "sequoia", "dyspec", "dynamic_depth"), "depth"),
    "tree_width": {
        **dict.fromkeys(("static", "sequoia"), "ranks"),
        **dict.fromkeys(("eagle2", "opt_tree", "dyspec", "dynamic_depth"), "width"),
    },
    "tree_threshold": {"dynamic_depth": "threshold", "opt_tree": "gain"},
}
"""Option -> the trees that it is for, and its name there."""


class VerifyOptions(StageOptions):
    """How much is proposed, how much of it is verified, and what is kept."""

    k: int = Field(default=16, ge=1, le=64, description="most tokens proposed a round, by each drafter")
    tree: Tree = Field(
        default="chain",
        description="the shape of drafts: `chain`: one continuation; `static`: the ranks that are right most often; "
        "`sequoia`: the best shape for the rates observed; `eagle2`, `opt_tree`, `dyspec`, `dynamic_depth`: what the "
        "drafter finds likely",
    )
    tree_depth: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="of all trees but `chain`: most levels; null: static 4, eagle2 6, sequoia 8, opt_tree and "
        "dynamic_depth 10, dyspec 16",
    )
    tree_width: int | None = Field(
        default=None,
        ge=1,
        le=32,
        description="of all trees but `chain`: candidates of a node that are looked at, and of eagle2 and "
        "dynamic_depth also nodes of a level that are expanded (top-k); at most 8 of static and sequoia; null: static, "
        "sequoia and dyspec 8, the others 10",
    )
    tree_threshold: float | None = Field(
        default=None,
        ge=0.0,
        description="of `dynamic_depth`: least likelihood of a level for another one below it; of `opt_tree`: least "
        "tokens that another level must promise; null: 0.3 and 0",
    )
    length: Length = Field(
        default="expected_throughput",
        description="`expected_throughput`: as many proposals are verified as pay by the measured cost of a pass; "
        "`fixed`: all of them; `heuristic`: deeper after a draft that was right to its end, else shallower; "
        "`thompson`: as deep as a draw from what was right before says; `confidence`: only what the drafter is sure of",
    )
    confidence: float | None = Field(
        default=None, gt=0.0, le=1.0, description="of length=confidence: least chance of a token; null: 0.4"
    )
    accept: Acceptance = Field(
        default="match",
        description="`match`: keep proposals while they equal the target's own draw; `speculative`: rejection "
        "sampling; `block`: rejection sampling of whole chains. These give the target's law, and at temperature 0 its "
        "greedy text. `typical`, `top_k` and `bild` keep what is likely enough, and promise neither",
    )
    accept_threshold: float | None = Field(
        default=None, gt=0.0, le=1.0, description="of `typical`: a proposal this likely is always kept; null: 0.09"
    )
    accept_alpha: float | None = Field(
        default=None,
        gt=0.0,
        le=1.0,
        description="of `typical`: how much less is enough where the target is unsure; null: 0.3",
    )
    accept_k: int | None = Field(
        default=None, ge=1, le=100, description="of `top_k`: a proposal among so many likeliest tokens is kept; null: 3"
    )
    accept_gap: float | None = Field(
        default=None, ge=0.0, description="of `top_k`: unless it is so many nats below the likeliest; null: 1"
    )

    accept_rollback: float | None = Field(
        default=None, ge=0.0, description="of `bild`: a proposal at most so many nats unlikely is kept; null: 2"
    )

    def guarantee(self, temperature: float) -> Level:
        if self.accept in ("top_k", "bild") or (self.accept == "typical" and temperature > 0):
            return "none"
        return "exact" if temperature == 0 else "distribution"

    def conflicts(self) -> tuple[Conflict, ...]:
        found = tuple(
            Conflict(
                reason=f"{option} is of accept={rule}, and accept is {self.accept}",
                remedies=(f"{option}=null", f"accept={rule}"),
            )
            for option, (rule, _) in PARAMETERS.items()
            if getattr(self, option) is not None and self.accept != rule
        )
        found += tuple(self._of_other_trees())
        if self.confidence is not None and self.length != "confidence":
            reason = f"confidence is of length=confidence, and length is {self.length}"
            found = (*found, Conflict(reason=reason, remedies=("confidence=null", "length=confidence")))
        return found

    def _of_other_trees(self) -> Iterator[Conflict]:
        """Parameters that the tree does not have."""
        for option, trees in TREE_PARAMETERS.items():
            value = getattr(self, option)
            if value is None:
                continue
            if self.tree not in trees:
                reason = f"{option} is of tree={' or '.join(trees)}, and tree is {self.tree}"
                yield Conflict(reason=reason, remedies=(f"{option}=null", f"tree={next(reversed(trees))}"))
            elif trees[self.tree] == "ranks" and value > RANKS:
                reason = (
                    f"tree={self.tree} knows how often candidates of {RANKS} ranks are right, and {option} is {value}"
                )
                yield Conflict(reason=reason, remedies=(f"{option}={RANKS}", "tree=eagle2"))

    def of_no_drafter(self, why: str) -> tuple[Conflict, ...]:
        """What is set of trees and of confidence, for a stage without a drafter that knows how likely tokens are."""
        fields = type(self).model_fields
        names = ("tree", *TREE_PARAMETERS, "confidence", *(("length",) if self.length == "confidence" else ()))
        found: list[Conflict] = []
        for name in names:
            value, default = getattr(self, name), fields[name].default
            if value != default:
                reason = f"{name}={value} is of what a drafter finds likely, and {why}"
                found.append(Conflict(reason=reason, remedies=(f"{name}={'null' if default is None else default}",)))
        return tuple(found)

    @property
    def least(self) -> float:
        """The smallest chance of a token that is drafted."""
        return 0.0 if self.length != "confidence" else 0.4 if self.confidence is None else self.confidence


def not_below(lower: str) -> Callable[[type[VerifyOptions], int, ValidationInfo], int]:
    """A validator of the longest of something, of which the option `lower` is the shortest."""

    # It is called `cls` for pydantic to see that it is a class method.
    def check(cls: type[VerifyOptions], value: int, info: ValidationInfo) -> int:
        del cls
        shortest = info.data.get(lower, 1)
        if value < shortest:
            raise ValueError(f"it is below {lower}, {shortest}")
        return value

    return check
