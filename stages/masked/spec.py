"""Masked generation: the table of selectors, with caches and re-maskers as options."""

from typing import Literal

from pydantic import Field

from ptgflow.contracts import Capability, Conflict, MethodSpec, Paradigm, StageOptions
from ptgflow.contracts.method import Reach

Cache = Literal["none", "prefix", "dual", "dkv", "dllm"]
Remask = Literal["none", "remdm", "p2", "gibbs", "uninformed", "wino"]

REOPENS: dict[Remask, Reach] = {
    "none": "nothing",
    "wino": "block",  # arXiv 2507.18578: only what the current block committed
    "remdm": "anywhere",  # arXiv 2503.00307
    "p2": "anywhere",  # arXiv 2502.03540
    "gibbs": "anywhere",  # MD4's confidence-guided corrector
    "uninformed": "anywhere",  # arXiv 2205.14987
}
"""How far each re-masker reaches back."""

TOLERATES: dict[Cache, Reach] = {
    "none": "anywhere",
    "dllm": "anywhere",  # refreshes positions whose values changed
    "prefix": "block",  # arXiv 2505.22618: blocks before the current one are final
    "dual": "block",  # the same, and the masked blocks after it are kept too
    "dkv": "nothing",  # arXiv 2505.15781: a decoded token's keys and values are kept from then on
}
"""How far settled positions may change again under each cache."""

_WIDTH: dict[Reach, int] = {"nothing": 0, "block": 1, "anywhere": 2}


class MaskedOptions(StageOptions):
    """What every selector shares."""

    block_length: int = Field(default=32, ge=1, le=1024, description="positions worked on at a time, left to right")
    cache: Cache = Field(default="none", description="how keys and values are reused; all but `none` approximate")
    remask: Remask = Field(default="none", description="what re-opens settled positions")

    def conflicts(self) -> tuple[Conflict, ...]:
        if _WIDTH[REOPENS[self.remask]] <= _WIDTH[TOLERATES[self.cache]]:
            return ()
        reason = (
            f"remask={self.remask} re-opens positions {_where(REOPENS[self.remask])}, "
            f"and cache={self.cache} {_kept(TOLERATES[self.cache])}"
        )
        return (Conflict(reason=reason, remedies=("cache=none", "remask=none"), of_a_cache=True),)


def _where(reach: Reach) -> str:
    return "of the current block" if reach == "block" else "anywhere"


def _kept(reach: Reach) -> str:
    return "keeps all that is settled" if reach == "nothing" else "keeps every block but the current one"


class ThresholdOptions(MaskedOptions):
    """Commit whatever is probable enough."""

    threshold: float = Field(default=0.9, gt=0.0, le=1.0, description="least probability of a committed token")


class TopKOptions(MaskedOptions):
    """Commit a fixed number of positions a round."""

    k: int = Field(default=4, ge=1, le=256, description="positions committed a round")
    score: Literal["probability", "margin", "entropy", "random"] = Field(
        default="probability", description="what ranks the positions"
    )


_NEEDS = frozenset({Capability.MASK_TOKEN})

METHODS = (
    MethodSpec(
        paradigm=Paradigm.MASKED,
        name="threshold",
        summary="commit every position whose token is probable enough, at least one a round",
        reference="Fast-dLLM, arXiv 2505.22618",
        options=ThresholdOptions,
        needs=_NEEDS,
    ),
    MethodSpec(
        paradigm=Paradigm.MASKED,
        name="topk",
        summary="commit the k best positions a round, by probability, margin or entropy",
        reference="LLaDA, arXiv 2502.09992; arXiv 2502.06768",
        options=TopKOptions,
        needs=_NEEDS,
    ),
    MethodSpec(
        paradigm=Paradigm.MASKED,
        name="mask_predict",
        summary="write all, then re-mask and rewrite the least certain on a linear schedule",
        reference="Mask-Predict, EMNLP 2019",
        options=MaskedOptions,
        needs=_NEEDS | {Capability.BIDIRECTIONAL},
    ),
)
