"""How good heads are at what they are for: tokens a round on prompts that they were not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.growth import TREES
from ptgflow.engine.heads.drafters import drafter_of
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import DecodeRequest


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


def acceptance(
    heads: Heads, model: LoadedModel, prompts: Sequence[str], *, max_tokens: int, tree: str, nodes: int
) -> Acceptance:
    """Answer prompts with drafts of a fixed size, and count tokens and rounds."""
    joint = drafter_of(heads, model, TREES[tree](), size=nodes)
    loop = DecodeLoop(model, max_rows=8)
    for prompt in prompts:
        ids = model.codec.prompt((), text=prompt).token_ids
        if len(ids) < model.context_length:
            loop.admit(DecodeRequest(prompt_ids=ids, max_new_tokens=max_tokens, joint=(joint,), length="fixed"))
    tokens = rounds = 0
    while not loop.idle:
        found = loop.round()
        for error in found.failed.values():
            raise error
        tokens += sum(len(one.token_ids) for one in found.finished.values())
        # The round over the prompt writes the first token.
        rounds += sum(one.verify_rounds + 1 for one in found.finished.values())
    return Acceptance(
        tree=tree, nodes=nodes, prompts=len(prompts), tokens=tokens, tokens_per_round=tokens / max(rounds, 1)
    )
