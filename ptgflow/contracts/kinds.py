"""The kinds of text that flow between stages: what is known about one segment, and nothing else.

    Segment
    + Prompt              conditions the text; may end in an open prefix to continue
    + Text                complete text, perhaps with how likely each token was
    |   + Draft           with the score of every token under the step-wise model that proposed it
    |       + Verified    judged by a target model
    + Canvas              text with holes
    Branches[T]           an ordered family of segments, and how they join

All are immutable. Token ids are those of the tokenizer whose fingerprint the segment carries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from ptgflow.contracts.guarantee import NO_GUARANTEE, Guarantee

Verdict = Literal["accepted", "corrected", "given"]
"""How a token of a verified text came about: proposed and kept, written by the target itself, or given by what joins
segments (a heading) and judged by nobody. Proposals that were thrown out are in `Verified.rejected`."""

FinishReason = Literal["stop", "length", "split"]
"""Why a text ends: an end token or stop string, a token limit, or the place where a longer text was split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What every kind has: token ids under one tokenizer."""

    token_ids: tuple[int, ...]
    tokenizer: str
    """Fingerprint of the tokenizer that the ids belong to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt(Segment):
    """What conditions the text: the ids a model reads before it writes."""

    messages: tuple[Message, ...] = ()
    """The conversation behind the ids; empty for raw text."""
    text: str = ""
    """The request in words, without template: what a stage that splits or routes it reads."""
    prefix: str = ""
    """The open prefix: text that the ids already end in and that the answer continues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Segment):
    """Complete text."""

    text: str
    """The ids in words, special tokens left out."""
    origin: tuple[str, ...]
    """The slot of the stage that wrote each token."""
    prompt: Prompt | None = None
    """What the text answers, if it answers anything: a stage that judges or repairs it needs the condition."""
    finish_reason: FinishReason = "stop"
    scores: tuple[float, ...] | None = None
    """Log-probability of each token at its place, in nats, at most 0, where the stage that wrote it tells. A text that
    was written at once has them, too: each place by itself, which is no trace of how the text came about."""

    def __post_init__(self) -> None:
        _same_length(self, origin=self.origin, scores=self.origin if self.scores is None else self.scores)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(Text):
    """Text with a token-level trace."""

    scores: tuple[float, ...] = ()
    """Log-probability of each token under the step-wise model that proposed it, in nats, at most 0; never left out."""
    tops: tuple[tuple[tuple[int, float], ...], ...] = ()
    """For each token the likeliest ones at its place with their scores; empty where nobody asked for them."""

    def __post_init__(self) -> None:
        _same_length(self, origin=self.origin, scores=self.scores, tops=self.tops or self.scores)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified(Draft):
    """Text that a target model has judged token by token."""

    verdicts: tuple[Verdict, ...]
    """One for each token of the text."""
    rejected: tuple[int, ...] = ()
    """Ids of proposals that the target threw out, in the order in which they were tried."""
    guarantee: Guarantee = NO_GUARANTEE

    def __post_init__(self) -> None:
        _same_length(
            self, origin=self.origin, scores=self.scores, tops=self.tops or self.scores, verdicts=self.verdicts
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas(Segment):
    """Text with holes: the ids at `holes` are mask tokens that wait to be filled."""

    holes: tuple[bool, ...]
    """True where a position is still masked."""
    frozen: tuple[bool, ...]
    """True where a position must not change."""
    origin: tuple[str, ...]
    prompt: Prompt | None = None

    def __post_init__(self) -> None:
        _same_length(self, holes=self.holes, frozen=self.frozen, origin=self.origin)
        both = [i for i, (hole, kept) in enumerate(zip(self.holes, self.frozen, strict=True)) if hole and kept]
        if both:
            raise ValueError(f"Canvas: positions {both} are frozen holes, so nothing could ever fill them")


T_co = TypeVar("T_co", bound=Segment, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Branches(Generic[T_co]):
    """An ordered family of segments and how they join.

    The joined text is `leads[0] + text of item 0 + leads[1] + text of item 1 + ... + tail`, so splitting a text into
    passages and merging them again without a change in between gives the same text back.
    """

    items: tuple[T_co, ...]
    leads: tuple[str, ...]
    """What the joined text has before each item: headings, numbers, the white space between passages."""
    tail: str = ""
    """What the joined text has after the last item."""
    titles: tuple[str, ...] = ()
    """What to call each item in reports; empty for none."""
    how: str = ""
    """In one line how the split came about, for the report: `5 points`, `plain: the router saw a request for code`."""
    stop: tuple[str, ...] = ()
    """Strings that end an item's text beside those of the run: `\\n` where each item is one paragraph of a list."""
    share: tuple[int, ...] = ()
    """Most new tokens of each item; empty: nothing but the budget of the whole answer limits them."""

    def __post_init__(self) -> None:
        if len(self.leads) != len(self.items):
            raise ValueError(f"Branches: {len(self.items)} items but {len(self.leads)} leads; give one lead an item")
        if self.titles and len(self.titles) != len(self.items):
            raise ValueError(f"Branches: {len(self.items)} items but {len(self.titles)} titles; give one each or none")
        if self.share and len(self.share) != len(self.items):
            raise ValueError(f"Branches: {len(self.items)} items but {len(self.share)} shares; give one each or none")

    def join(self, texts: Sequence[str]) -> str:
        """The text of the whole, given the text of each item."""
        if len(texts) != len(self.items):
            raise ValueError(f"Branches: {len(self.items)} items but {len(texts)} texts to join")
        return "".join(lead + text for lead, text in zip(self.leads, texts, strict=True)) + self.tail


KINDS: dict[str, type[Segment]] = {kind.__name__: kind for kind in (Prompt, Text, Draft, Verified, Canvas)}
"""The kinds that may stand on an edge, by name."""


def _same_length(segment: Segment, **per_token: tuple[object, ...]) -> None:
    for name, values in per_token.items():
        if len(values) != len(segment.token_ids):
            raise ValueError(
                f"{type(segment).__name__}: {len(segment.token_ids)} token ids but {len(values)} {name}; "
                "there must be one for each token"
            )
