"""What is asked of a decoding loop, and what it answers: the seam between methods and the engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from ptgflow.contracts.kinds import FinishReason, Verdict
from ptgflow.contracts.settings import Sampling

Acceptance = Literal["speculative", "match"]
"""The rule by which the target keeps proposals; see `ptgflow.engine.acceptance`."""


@runtime_checkable
class Drafter(Protocol):
    """Proposes what may come next. One instance serves one row, so it may keep state between calls."""

    def propose(self, context: Sequence[int], limit: int) -> Sequence[int]:
        """At most `limit` token ids that may follow `context` (prompt and answer so far); empty to propose none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeRequest:
    """One row for a decoding loop."""

    prompt_ids: tuple[int, ...]
    max_new_tokens: int
    """At least 1."""
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    """Seed of this row; `sampling.seed` is the run's, from which the caller derived it."""
    stop: tuple[str, ...] = ()
    drafter: Drafter | None = None
    """None: plain autoregressive decoding."""
    accept: Acceptance = "speculative"
    visible: bool = True
    """Whether the text is part of the answer (and so is shown as it settles), or only planning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a row became."""

    token_ids: tuple[int, ...]
    """Without the end token; cropped at the first stop string, so that they decode to `text`."""
    text: str
    scores: tuple[float, ...]
    """Log-probability of each token under the target, in nats, after temperature and filters at temperature > 0,
    of the plain softmax at temperature 0."""
    verdicts: tuple[Verdict, ...]
    """`accepted` for a proposal that was kept, `corrected` for a token that the target wrote itself."""
    rejected: tuple[int, ...]
    """Proposals that were thrown out, in order."""
    finish_reason: FinishReason
    rounds: int
    """Model passes that contained this row, the one over its prompt included."""
    passes: frozenset[int]
    """Which passes of the loop those were: rows that share a batch share passes."""
    proposed: int
    """Tokens proposed by the drafter."""
    accepted: int
    """Proposals kept."""
    verify_rounds: int
    """Passes after the one over the prompt."""
