"""How good what was trained is at drafting: tokens a round on prompts that it was not trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ptgflow.engine.growth import TREES, TreeBuilder
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import DecodeRequest, JointDrafter
from ptgflow.train.decoding import decoded_of
from ptgflow.train.prompts import TrainingPrompt

SHAPES: Final = (("chain", 4), ("dyspec", 8), ("dyspec", 16), ("dyspec", 32))
"""Trees that everything is measured with, and most nodes of each."""

DrafterOf = Callable[[TreeBuilder, int], JointDrafter]
"""From how trees are built, and of how many nodes at most, to a drafter that does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Greedy decoding with drafts."""

    tree: str
    nodes: int
    """Most nodes a round."""
    prompts: int
    tokens: int
    tokens_per_round: float
    """1: no draft was ever right."""


def acceptances(
    drafter_of: DrafterOf,
    model: LoadedModel,
    prompts: Sequence[TrainingPrompt],
    *,
    max_tokens: int,
    tell: Callable[[int, int], None],
) -> tuple[Acceptance, ...]:
    """Answer prompts with drafts of each shape."""
    found: list[Acceptance] = []
    for tree, nodes in SHAPES:
        tell(len(found), len(SHAPES))
        joint = drafter_of(TREES[tree](), nodes)
        found.append(_acceptance(joint, model, prompts, max_tokens=max_tokens, tree=tree, nodes=nodes))
    return tuple(found)


def _acceptance(
    joint: JointDrafter,
    model: LoadedModel,
    prompts: Sequence[TrainingPrompt],
    *,
    max_tokens: int,
    tree: str,
    nodes: int,
) -> Acceptance:
    """Answer prompts with drafts of a fixed size, and count tokens and rounds."""
    requests = [
        DecodeRequest(
            prompt_ids=ids,
            max_new_tokens=max_tokens,
            joint=(joint,),
            length="fixed",
            stop=(prompt.stop,) if prompt.stop else (),
        )
        for prompt in prompts
        if len(ids := model.codec.prompt((), text=prompt.text, prefix=prompt.prefix).token_ids) < model.context_length
    ]
    tokens = rounds = 0
    for _, decoded in decoded_of(model, requests, rows=8):
        tokens += len(decoded.token_ids)
        # The round over the prompt writes the first token.
        rounds += decoded.verify_rounds + 1
    return Acceptance(
        tree=tree, nodes=nodes, prompts=len(prompts), tokens=tokens, tokens_per_round=tokens / max(rounds, 1)
    )
