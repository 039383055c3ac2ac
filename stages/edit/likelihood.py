"""How likely a text is for the target, asked of its decoding loop: the text is proposed, kept, and told its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from ptgflow.engine.acceptance.unverified import Unverified
from ptgflow.engine.costs.widths import LONGEST
from ptgflow.engine.request import DecodeRequest, Proposal
from ptgflow.engine.trees import TokenTree
from ptgflow.stages.base import Work


@final
@dataclass(frozen=True, slots=True)
class _Given:
    """A drafter that proposes what is there."""

    tokens: tuple[int, ...]

    def propose(self, context: Sequence[int], limit: int) -> Proposal:
        del context
        return Proposal(tree=TokenTree.chain(self.tokens[:limit]))


def likelihood(prompt: tuple[int, ...], tokens: tuple[int, ...]) -> Work[float]:
    """Yield a row for each stretch that is proposed at once; the mean log-probability of a token, in nats.

    Args:
        prompt: what the text follows.
        tokens: the text, at least one.
    """
    total = 0.0
    for begin in range(0, len(tokens), LONGEST):
        stretch = tokens[begin : begin + LONGEST]
        answer = yield DecodeRequest(
            prompt_ids=(*prompt, *tokens[:begin]),
            # The target writes one more itself, which nobody wants.
            max_new_tokens=len(stretch) + 1,
            drafter=_Given(stretch),
            accept=Unverified(),
            length="fixed",
            visible=False,
        )
        total += sum(answer.scores[: len(stretch)])
    return total / len(tokens)
