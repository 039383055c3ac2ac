"""Plain autoregressive decoding: the loop of DraftVerify with nothing proposed. The baseline of every comparison."""

from typing import final

from ptgflow.contracts import Prompt, StageOptions, Verified
from ptgflow.engine.request import DecodeRequest
from ptgflow.stages.base import AbstractMethod, StageContext, Work
from ptgflow.stages.draft_verify.given import verified


@final
class Autoregressive(AbstractMethod[Prompt, Verified]):
    """Answers a prompt one token a pass; every token is the target's own."""

    def __init__(self, options: StageOptions) -> None:
        """Take the options that every method has; this one has no others."""
        del options

    def run(self, value: Prompt, context: StageContext) -> Work[Verified]:
        """Yield one request without a drafter."""
        decoded = yield DecodeRequest(
            prompt_ids=value.token_ids,
            max_new_tokens=context.budget,
            sampling=context.generation.sampling,
            seed=context.seed,
            stop=context.generation.stop,
        )
        return verified(decoded, value, value, context)
