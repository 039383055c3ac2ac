"""Masked generation: the table of selectors, with caches and re-maskers as options."""

from typing import Literal

from pydantic import Field

from ptgflow.contracts import Capability, Conflict, MethodSpec, Paradigm, Segment
from ptgflow.contracts.method import Reach
from ptgflow.stages.masked.guidance_options import BY_A_GUIDE, GuidanceOptions
from ptgflow.stages.masked.length_options import LengthOptions
from ptgflow.stages.masked.place_conflicts import of_other_texts, where_fused
from ptgflow.stages.masked.remask_options import REMASK_PARAMETERS, Remask, RemaskOptions

Cache = Literal["none", "prefix", "dual", "dkv", "dllm"]

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


class MaskedOptions(GuidanceOptions, LengthOptions, RemaskOptions):
    """What every selector shares."""

    block_length: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="positions worked on at a time, left to right; null: as many as in the model's training, and all "
        "where that knew no blocks",
    )
    cache: Cache = Field(
        default="none",
        description="what a masked model keeps from pass to pass: keys and values (`prefix`, `dual`, `dkv`), or what "
        "layers add (`dllm`); all but `none` approximate, except for a block-causal model",
    )
    weak: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="behind a verifier: positions whose token was less probable than this are opened again; null: 0.3",
    )
    weights: str | None = Field(
        default=None, description="a folder with adapters for canvases; null: those that ship for the model"
    )

    def conflicts(self) -> tuple[Conflict, ...]:
        return (
            *super().conflicts(),
            *self.invalidated(f"remask={self.remask}", REOPENS[self.remask], "cache=none", "remask=none"),
        )

    def invalidated(self, what: str, reach: Reach, *remedies: str) -> tuple[Conflict, ...]:
        """That what re-opens positions does so where the cache keeps them."""
        if _WIDTH[reach] <= _WIDTH[TOLERATES[self.cache]]:
            return ()
        reason = f"{what} re-opens positions {_where(reach)}, and cache={self.cache} {_kept(TOLERATES[self.cache])}"
        return (Conflict(reason=reason, remedies=remedies, of_a_cache=True),)

    def conflicts_fused(self) -> tuple[Conflict, ...]:
        return tuple(where_fused(self))

    def conflicts_taking(self, kind: type[Segment]) -> tuple[Conflict, ...]:
        return tuple(of_other_texts(self, kind))


def _where(reach: Reach) -> str:
    return "of the current block" if reach == "block" else "anywhere"


def _kept(reach: Reach) -> str:
    return "keeps all that is settled" if reach == "nothing" else "keeps every block but the current one"


class ThresholdOptions(MaskedOptions):
    """Commit whatever is probable enough."""

    threshold: float = Field(default=0.9, gt=0.0, le=1.0, description="least probability of a committed token")
    progress: Literal["surest", "leftmost"] | None = Field(
        default=None,
        description="which position is committed where none is probable enough; null: the leftmost with adapters for "
        "an autoregressive model, which the text before it predicts, and else the surest",
    )

    def conflicts(self) -> tuple[Conflict, ...]:
        found = super().conflicts()
        if self.progress != "surest" or self.guidance not in BY_A_GUIDE:
            return found
        reason = f"guidance={self.guidance} writes the leftmost position in any case, and progress is surest"
        return (*found, Conflict(reason=reason, remedies=("progress=null", "guidance=none")))


class FactorOptions(MaskedOptions):
    """Commit as many as are probable enough together."""

    factor: float = Field(default=1.0, gt=0.0, description="f: the n-th best is committed if (n + 1)(1 - c) < f")


class TopKOptions(MaskedOptions):
    """Commit a fixed number of positions a round."""

    k: int = Field(default=4, ge=1, le=256, description="positions committed a round")
    score: Literal["probability", "margin", "entropy", "random"] = Field(
        default="probability", description="what ranks the positions"
    )


class EntropyBoundOptions(MaskedOptions):
    """Commit as many as the entropy bound allows."""

    gamma: float = Field(default=0.15, gt=0.0, description="most entropy of all committed but the largest, in nats")


class SlowFastOptions(MaskedOptions):
    """Explore one token at a time, then commit a stable span."""

    explore: int = Field(default=6, ge=1, description="rounds of a slow phase")
    reach: float = Field(default=0.3, ge=0.0, le=1.0, description="least confidence of a position inside the span")
    window: int = Field(default=2, ge=1, description="rounds over which the span's end must be stable")
    spread: float = Field(default=1.0, gt=0.0, description="largest variance of the span's end in that window")
    high: float = Field(default=0.9, gt=0.0, le=1.0, description="least confidence that the fast phase commits")

    def conflicts(self) -> tuple[Conflict, ...]:
        found = super().conflicts()
        if self.window <= self.explore:
            return found
        reason = f"a span must be stable for window={self.window} rounds, and a slow phase has explore={self.explore}"
        remedies = (f"window={self.explore}", f"explore={self.window}")
        return (*found, Conflict(reason=reason, remedies=remedies))


class StepsOptions(MaskedOptions):
    """Commit by a schedule."""

    steps: int = Field(default=8, ge=1, le=1024, description="rounds of each block")
    schedule: Literal["linear", "cosine"] = Field(default="linear", description="how many are left masked when")

    def conflicts(self) -> tuple[Conflict, ...]:
        return (*super().conflicts(), *self.too_many(self.block_length))

    def too_many(self, places: int | None) -> tuple[Conflict, ...]:
        """Rounds with nothing to commit: there are fewer places than rounds, and none is opened again."""
        if places is None or self.steps <= places or self.remask != "none":
            return ()
        reason = f"steps={self.steps} rounds for blocks of {places} positions leave rounds with nothing to commit"
        return (Conflict(reason=reason, remedies=(f"steps={places}", f"block_length={self.steps}")),)


class TauLeapingOptions(StepsOptions):
    """Commit by chance; with `remask=remdm` the two are one sampler, and share one schedule."""

    def conflicts(self) -> tuple[Conflict, ...]:
        found = super().conflicts()
        if self.remask != "remdm":
            return found
        if self.remask_steps is not None:
            reason = f"with tau_leaping remdm has the rounds of steps={self.steps}, and remask_steps would be others"
            found = (*found, Conflict(reason=reason, remedies=("remask_steps=null",)))
        if self.schedule != "linear":
            reason = f"remask=remdm has a schedule of its own, and schedule is {self.schedule}"
            found = (*found, Conflict(reason=reason, remedies=("schedule=linear", "remask=none")))
        return found


class MaskGitOptions(StepsOptions):
    """Commit by a schedule, the most confident first."""

    choice_temperature: float = Field(default=0.0, ge=0.0, description="of Gumbel noise on confidence, annealed to 0")


class WinoOptions(MaskedOptions):
    """Commit generously; meant for `remask=wino`, which takes back what does not hold."""

    threshold: float = Field(default=0.6, gt=0.0, le=1.0, description="least probability of a committed token")


class MaskPredictOptions(MaskedOptions):
    """Write all, and re-open the weakest: it is its own re-masker."""

    iterations: int = Field(default=10, ge=1, le=1024, description="rounds of each block")

    def conflicts(self) -> tuple[Conflict, ...]:
        fields = type(self).model_fields
        own = {
            name: fields[name].default
            for name in ("remask", *REMASK_PARAMETERS)
            if getattr(self, name) != fields[name].default
        }
        without = self.model_copy(update=own)
        return (
            *super(MaskPredictOptions, without).conflicts(),
            *self.invalidated("mask_predict", "block", "cache=none"),
            *(
                Conflict(
                    reason=f"mask_predict re-opens by its own schedule, and {name}={getattr(self, name)} is of another",
                    remedies=(f"{name}={default or 'null'}",),
                )
                for name, default in own.items()
            ),
        )


_NEEDS = frozenset({Capability.MASK_TOKEN})


def _method(name: str, symbol: str, summary: str, reference: str, options: type[MaskedOptions]) -> MethodSpec:
    return MethodSpec(
        paradigm=Paradigm.MASKED,
        name=name,
        summary=summary,
        reference=reference,
        options=options,
        needs=_NEEDS,
        implementation=f"ptgflow.stages.masked.selectors:{symbol}",
    )


METHODS = (
    _method(
        "threshold",
        "Threshold",
        "commit every position whose token is probable enough, at least one a round",
        "Fast-dLLM, arXiv 2505.22618",
        ThresholdOptions,
    ),
    _method(
        "factor",
        "Factor",
        "commit the n best positions for the largest n whose confidences allow it",
        "Fast-dLLM, arXiv 2505.22618",
        FactorOptions,
    ),
    _method(
        "topk",
        "TopK",
        "commit the k best positions a round, by probability, margin or entropy",
        "LLaDA, arXiv 2502.09992; arXiv 2502.06768",
        TopKOptions,
    ),
    _method(
        "entropy_bound",
        "EntropyBound",
        "commit the surest positions up to a bound on their entropies",
        "EB-Sampler, arXiv 2505.24857",
        EntropyBoundOptions,
    ),
    _method(
        "slow_fast",
        "SlowFast",
        "commit one position a round until a span is stable, then all that is sure in it",
        "SlowFast sampling, arXiv 2506.10848",
        SlowFastOptions,
    ),
    _method(
        "tau_leaping",
        "TauLeaping",
        "commit each position by chance, with the same probability for all",
        "tau-leaping, arXiv 2205.14987; MDLM, arXiv 2406.07524",
        TauLeapingOptions,
    ),
    _method(
        "maskgit",
        "MaskGit",
        "commit the most confident positions, as many as a schedule says",
        "MaskGIT, arXiv 2202.04200",
        MaskGitOptions,
    ),
    _method(
        "wino",
        "Wino",
        "commit generously, for a re-masker that takes back what does not hold",
        "WINO, arXiv 2507.18578",
        WinoOptions,
    ),
    _method(
        "mask_predict",
        "MaskPredict",
        "write all, then re-mask and rewrite the least certain on a linear schedule",
        "Mask-Predict, arXiv 1904.09324",
        MaskPredictOptions,
    ),
)
