"""What is asked of a decoding loop, and what it answers: the seam between methods and the engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from jaxtyping import Float, Float64
from torch import Tensor

from ptgflow.contracts.kinds import FinishReason, Verdict
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.acceptance import AcceptanceRule, Speculative
from ptgflow.engine.edit.changes import Changes
from ptgflow.engine.lengths import RowLength
from ptgflow.engine.sampling.constraint import Constraint
from ptgflow.engine.slots import SlotCache
from ptgflow.engine.trees import TokenTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a drafter thinks may come next."""

    tree: TokenTree
    laws: Float64[Tensor, "nodes vocab"] | None = None
    """Row i: the distribution that node i was drawn from, given its siblings that were drawn before it. None: the
    drafter drew nothing, so each node is proposed for certain."""
    grades: tuple[int, ...] = ()
    """For each node, how much the drafter believes in it, as a class of its own choosing; the loop learns what each
    class is worth, and verifies only what is worth its time. Empty: all nodes are of one class. Where nodes were drawn,
    a node's class must follow from its distribution and not from the token that came out, or the choice would change
    the law of the text."""
    held: frozenset[int] = frozenset()
    """Nodes that are verified however unlikely they are, because the drafter needs what the target says after them.
    What they cost is the drafter's: it is asked no more where that does not pay."""

    def __post_init__(self) -> None:
        assert len(self.grades) in (0, len(self.tree)), "every node has a grade, or none has"
        assert all(self.tree.parents[node] in (-1, *self.held) for node in self.held), "a held node's parent is held"


Length = Literal["fixed", "expected_throughput"]
"""How many proposals are verified: all that the drafter makes, or as many as pay by the measured cost of a pass. A
`RowLength` says how deep they are by how deep they were right before."""


@runtime_checkable
class Drafter(Protocol):
    """Proposes what may come next. One instance serves one row, so it may keep state between calls."""

    def propose(self, context: Sequence[int], limit: int) -> Proposal:
        """A tree of at most `limit` nodes that may follow `context`, prompt and answer so far; or an empty one."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where the target's keys and values of a row are. Drafters read them; what lies behind them is scratch for all."""

    cache: SlotCache
    row: int
    """The row's number in the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A row that wants a proposal of a drafter which serves several."""

    row: int
    """The row's number, as the drafter was told it before."""
    context: Sequence[int]
    """Prompt and answer so far. The last token has not been read by the target, all before it have."""
    limit: int
    """Most nodes of the tree."""
    written: int
    """Tokens of the answer so far."""
    sampling: Sampling
    seed: int
    place: Place | None = None
    """For drafters that attend to what the target keeps of the row."""


@runtime_checkable
class JointDrafter(Protocol):
    """Proposes for many rows of a loop at once; one instance serves all rows that name it."""

    @property
    def taps(self) -> tuple[int, ...]:
        """Which hidden states of the target it reads; see `ModelPass.tapped`."""
        ...

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Take in tokens that the target has read and that stay in the row, with its states at the taps."""
        ...

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        """A tree for each row, of at most as many nodes as it asks for; or an empty one."""
        ...

    def judged(self, row: int, tree: TokenTree, path: Sequence[int]) -> None:
        """What was verified of its last proposal for a row, and which of these nodes were kept."""
        ...

    def fork(self, row: int, source: int, length: int) -> None:
        """A new row begins with the first `length` tokens of another one."""
        ...

    def forget(self, row: int) -> None:
        """Drop what is known of a row, if anything is: it has ended, or starts from the beginning again."""
        ...


@runtime_checkable
class Listening(Protocol):
    """What a joint drafter also is that goes on from what the target says after nodes which are not kept."""

    def answered(self, row: int, tree: TokenTree, own: Sequence[int]) -> None:
        """Take in the target's token after the text, and then after each node of what was verified for a row.

        The tree may have nodes of other drafters, too. The tokens are the likeliest ones, or at temperature > 0, where
        the row's rule draws at every node (`AcceptanceRule.draws_ahead`), these draws.
        """
        ...


@runtime_checkable
class Trained(Protocol):
    """What a joint drafter also is that has weights from somewhere."""

    @property
    def source(self) -> str:
        """The folder, for who has to be told that they foresee nothing; empty: not from a folder."""
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
    """Of this row alone. Without any drafter it is plain autoregressive decoding."""
    joint: tuple[JointDrafter, ...] = ()
    """Those that it shares with other rows. What several drafters propose becomes one tree."""
    accept: AcceptanceRule = field(default_factory=Speculative)
    length: Length | RowLength = "expected_throughput"
    visible: bool = True
    """Whether the text is part of the answer (and so is shown as it settles), or only planning."""
    constraint: Constraint | None = None
    """Rules out tokens at each place, in a row for which nothing is proposed. Scores at temperature 0 are the target's
    own all the same."""

    def __post_init__(self) -> None:
        assert self.constraint is None or not self.drafts, "what may come after a proposal is not known"

    @property
    def drafts(self) -> bool:
        """Whether anything can be proposed."""
        return self.drafter is not None or bool(self.joint)

    @property
    def listening(self) -> tuple[Listening, ...]:
        """Drafters that want to know what the target says after every node."""
        return tuple(joint for joint in self.joint if isinstance(joint, Listening))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a row became."""

    token_ids: tuple[int, ...]
    """Without the end token; cropped at the first stop string, so that they decode to `text`."""
    text: str
    scores: tuple[float, ...]
    """Log-probability of each token under the target, in nats, after temperature and filters at temperature > 0,
    of the plain softmax at temperature 0."""
    tops: tuple[tuple[tuple[int, float], ...], ...] = ()
    """For each token the likeliest ones at its place with their scores, where `sampling.logprobs` asks for them."""
    verdicts: tuple[Verdict, ...]
    """`accepted` for a proposal that was kept, `corrected` for a token that the target wrote itself."""
    rejected: tuple[int, ...]
    """Proposals that were thrown out, in order."""
    finish_reason: FinishReason
    rounds: int
    """Model passes that contained this row, those over its prompt included."""
    passes: frozenset[int]
    """Which passes of the loop those were: rows that share a batch share passes."""
    proposed: int
    """Tokens proposed by the drafter."""
    accepted: int
    """Proposals kept."""
    agreed: int = 0
    """Proposals kept that are the target's own token where they stand: all of them under a lossless rule at
    temperature 0."""
    own: int | None = None
    """Of `token_ids` how many are the target's greedy choice after the text before them, the tokens that it wrote
    itself among them. None above temperature 0, where no single token is the target's, and where tokens are ruled
    out."""
    verify_rounds: int
    """Passes after those over the prompt."""
    end_id: int | None = None
    """The end token that the target wrote, which is not among the tokens; None: something else ended the text."""
    edits: tuple[Changes, ...] = ()
    """What each round of an editor has rewritten; empty where nothing was."""
