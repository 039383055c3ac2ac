"""What a request became: the record that `output=` writes and Python returns."""

from dataclasses import asdict, dataclass, field
from typing import Any

from ptgflow.contracts import NO_GUARANTEE, Guarantee
from ptgflow.engine.edit.changes import Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """What one stage did on one segment, or on the whole."""

    name: str
    """The slot."""
    method: str
    wall_s: float
    rounds: int
    """Model passes that contained its rows."""
    tokens_in: int
    tokens_out: int
    proposed: int = 0
    accepted: int = 0
    agreed: int = 0
    """Of those the tokens that are the target's own where they stand; at temperature 0 all of them where a lossless
    rule judged."""
    own: int | None = None
    """Of `tokens_out` those that are the target's greedy choice after the text before them, those that it wrote itself
    among them; None above temperature 0, and where nothing was decoded."""
    verify_rounds: int = 0
    how: str = ""
    """What a split decided, and why."""
    edits: tuple[Changes, ...] = ()
    """What each round of an editor rewrote. Places are characters of the text before the round, so that undoing the
    rounds from the last one on gives back what the stage was given."""
    agreement: float | None = field(init=False)
    """`own / tokens_out`: how much of what was written the target would have written there."""

    def __post_init__(self) -> None:
        share = None if self.own is None or self.tokens_out == 0 else self.own / self.tokens_out
        object.__setattr__(self, "agreement", share)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprobs:
    """How likely a token was where it was written."""

    token_id: int
    logprob: float
    """In nats, under the target; see `ptgflow.engine.request.Decoded.scores`."""
    top: tuple[tuple[int, float], ...]
    """The likeliest tokens there, and their log-probabilities; empty for a heading, which nobody chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRecord:
    """One segment of the answer; an answer that was not split has one."""

    index: int
    title: str | None
    text: str
    finish_reason: str
    stages: tuple[StageRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What the answer cost."""

    wall_s: float
    first_text_s: float | None
    prompt_tokens: int
    new_tokens: int
    """Tokens of the final text."""
    rounds: int
    """Model passes over a batch that contained this request."""
    critical_rounds: int
    """Of those, the ones on the longest path through the flow."""
    steps_per_token: float | None
    """`critical_rounds / new_tokens` (survey, Eq. 2); below 1 is parallel."""
    tokens_per_s: float | None
    model_passes: dict[str, int]
    acceptance_length: float | None
    """Mean tokens that a pass of a drafting stage adds, the target's own included; None when nothing was drafted."""
    peak_memory_mb: float
    """Of the process (on a GPU, of the device's allocator)."""
    stages: tuple[StageRecord, ...]
    """Each stage of the flow once, summed over segments; its seconds run from first start to last end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to one request, or why there is none."""

    id: str | int
    recipe: str
    model: str
    seed: int
    prompt: str
    text: str = ""
    token_ids: tuple[int, ...] = ()
    """Of the final text under the target's tokenizer."""
    origin: tuple[str, ...] = ()
    """The slot that wrote each token."""
    logprobs: tuple[TokenLogprobs, ...] | None = None
    """Of each token of the final text, where `logprobs=` asked for it and the last stage knows."""
    finish_reason: str = ""
    segments: tuple[SegmentRecord, ...] = ()
    whole: tuple[StageRecord, ...] = ()
    """What was done on the whole of an answer that was split, before its parts and behind them."""
    guarantee: Guarantee = NO_GUARANTEE
    metrics: Metrics | None = None
    how: str = ""
    """What splits decided, and why; empty for a flow that splits nothing."""
    error: str | None = None
    error_code: str | None = field(default=None)
    error_report: str = ""
    """The finding as a person reads it, with its help; not part of the record."""

    @property
    def ok(self) -> bool:
        return self.error is None

    def record(self) -> dict[str, Any]:
        """One line of an output file."""
        plain = asdict(self)
        del plain["error_report"]
        if self.logprobs is None:
            del plain["logprobs"]
        plain["guarantee"] = {
            "level": self.guarantee.level,
            "target": self.guarantee.target,
            "scope": self.guarantee.scope,
        }
        return plain
