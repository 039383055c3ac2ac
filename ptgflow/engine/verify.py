"""Judge one row's proposals by the target's logits: the acceptance rule, the randomness and the scores put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.acceptance import RULES, greedy_match
from ptgflow.engine.randomness import uniform
from ptgflow.engine.request import DecodeRequest
from ptgflow.engine.sampling import chosen, greedy, log_probabilities, seen_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What one pass adds to a row: the proposals that were kept, and the target's own token."""

    tokens: tuple[int, ...]
    accepted: int
    """How many of `tokens`, from the first, are proposals; one is the target's own."""
    scores: tuple[float, ...]
    """Log-probability of each, in nats; see `Decoded.scores`."""


def judge(
    request: DecodeRequest, logits: Float[Tensor, "positions vocab"], context: Sequence[int], draft: Sequence[int]
) -> Block:
    """Accept or correct a draft.

    Args:
        request: how the row is sampled, and by which rule proposals are kept.
        logits: the target's, at the last token of `context` and at each token of `draft`.
        context: prompt and answer so far.
        draft: the proposals.
    """
    sampling = request.sampling
    penalty = sampling.repetition_penalty
    seen = None if penalty == 1.0 else seen_tokens(context, draft, logits.shape[-1], logits.device)
    if sampling.temperature == 0:
        judged = greedy_match(greedy(logits, penalty, seen).tolist(), draft)
        tokens = (*draft[: judged.accepted], judged.token)
        scores = chosen(logits[: len(tokens)].double().log_softmax(dim=-1), tokens)
    else:
        target = log_probabilities(logits, sampling, seen)
        start = len(context) - len(request.prompt_ids)
        judged = RULES[request.accept].judge(target.exp(), draft, None, start, partial(uniform, request.seed))
        tokens = (*draft[: judged.accepted], judged.token)
        scores = chosen(target, tokens)
    return Block(tokens=tokens, accepted=judged.accepted, scores=scores)
