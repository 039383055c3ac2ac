"""Judge the proposals of all rows of a pass: the predictions, the acceptance rules and the scores put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from jaxtyping import Bool, Float
from torch import Tensor

from ptgflow.engine.acceptance import Judged, walk
from ptgflow.engine.randomness import uniform
from ptgflow.engine.request import DecodeRequest, Proposal
from ptgflow.engine.sampling import History, Place, Prediction, predict


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What one pass adds to a row: the proposals that were kept, and the target's own token."""

    path: tuple[int, ...]
    """The nodes of the tree that were kept, from the text downwards."""
    tokens: tuple[int, ...]
    """Theirs, and one that is the target's own."""
    scores: tuple[float, ...]
    """Log-probability of each, in nats; see `Decoded.scores`."""
    tops: tuple[tuple[tuple[int, float], ...], ...]
    """The likeliest tokens at each place, where the row asks for them."""
    agreed: tuple[bool, ...]
    """For each node that was kept, whether it is the target's own token there: its likeliest, or its own draw."""
    own: tuple[int, ...] = ()
    """The target's token after the text and then after each node, where a drafter listens; see `Listening`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a row wants to know of a pass."""

    request: DecodeRequest
    proposal: Proposal
    history: History
    written: int
    """Tokens of the answer so far."""
    allowed: Bool[Tensor, " vocab"] | None = None
    """Which tokens may come next, where the request rules some out."""


def judge(logits: Float[Tensor, "positions vocab"], questions: Sequence[Question]) -> list[Block]:
    """Accept or correct the proposals of all rows.

    Args:
        logits: of each row one line after its text, then one after each proposal, in the order of the questions.
        questions: how each row is sampled, and by which rule its proposals are kept.
    """
    prediction = predict(logits, [_place(question) for question in questions])
    prediction.prepare(
        at for at, question in zip(prediction.offsets, questions, strict=True) if _asks_for_laws(question.request)
    )
    judged = [_judged(prediction, at, question) for at, question in zip(prediction.offsets, questions, strict=True)]
    # All scores at once: a row's are those after its text and after each node that was kept.
    places = [
        [at, *(at + 1 + node for node in found.path)] for at, found in zip(prediction.offsets, judged, strict=True)
    ]
    tokens = [
        (*(question.proposal.tree.tokens[node] for node in found.path), found.token)
        for question, found in zip(questions, judged, strict=True)
    ]
    scores = iter(prediction.scores([row for rows in places for row in rows], [one for row in tokens for one in row]))
    own = _own(prediction, questions)
    return [
        Block(
            path=found.path,
            tokens=written,
            scores=tuple(next(scores) for _ in written),
            tops=_tops(prediction, rows, question),
            agreed=tuple(
                prediction.own(at) == token for at, token in zip(rows, written[: len(found.path)], strict=False)
            ),
            own=said,
        )
        for question, found, written, rows, said in zip(questions, judged, tokens, places, own, strict=True)
    ]


def _own(prediction: Prediction, questions: Sequence[Question]) -> list[tuple[int, ...]]:
    """For each question the target's token at every line, if a drafter listens; else nothing."""
    lines = [
        range(at, at + len(question.proposal.tree) + 1) if question.request.listening else range(0)
        for at, question in zip(prediction.offsets, questions, strict=True)
    ]
    said = iter(prediction.said([line for rows in lines for line in rows]))
    return [tuple(next(said) for _ in rows) for rows in lines]


def _place(question: Question) -> Place:
    request = question.request
    return Place(
        sampling=request.sampling,
        seed=request.seed,
        history=question.history,
        tree=question.proposal.tree,
        start=question.written,
        # Where nothing is proposed every lossless rule is a draw; the one that walks draws everywhere.
        draws=request.accept.draws_ahead,
        allowed=question.allowed,
    )


def _judged(prediction: Prediction, at: int, question: Question) -> Judged:
    request, tree = question.request, question.proposal.tree
    rule, greedy = request.accept, request.sampling.temperature == 0
    if not _asks_for_laws(request):
        return walk(tree, prediction.tokens[at : at + len(tree) + 1])
    if greedy:
        return rule.judge_greedily(lambda node: prediction.law(at + node), tree)
    numbers = partial(uniform, request.seed)
    return rule.judge(lambda node: prediction.law(at + node), tree, question.proposal.laws, question.written, numbers)


def _asks_for_laws(request: DecodeRequest) -> bool:
    """Whether the rule needs distributions, where others need no more than the target's own token at each place."""
    greedy = request.sampling.temperature == 0
    return request.accept.tolerant_when_greedy if greedy else not request.accept.draws_ahead


def _tops(prediction: Prediction, rows: Sequence[int], question: Question) -> tuple[tuple[tuple[int, float], ...], ...]:
    count = question.request.sampling.logprobs
    return () if count is None else tuple(prediction.top(rows, count))
