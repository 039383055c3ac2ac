"""DraftVerify with n-gram drafts: proposals are looked up in the prompt, the answer, and the draft that was given."""

from typing import final

from ptgflow.contracts import Draft, Prompt, Verified
from ptgflow.engine.request import DecodeRequest, Drafter
from ptgflow.stages.base import AbstractMethod, StageContext, Work
from ptgflow.stages.draft_verify.given import condition, nothing, verified
from ptgflow.stages.draft_verify.lookup import GivenDrafter, NgramDrafter
from ptgflow.stages.draft_verify.rules import rule_of
from ptgflow.stages.draft_verify.spec import NgramOptions


@final
class Ngram(AbstractMethod[Prompt | Draft, Verified]):
    """Answers a prompt, or judges a draft: its tokens are proposed first, and n-grams after a rejection."""

    def __init__(self, options: NgramOptions) -> None:
        self._options = options

    def run(self, value: Prompt | Draft, context: StageContext) -> Work[Verified]:
        """Yield one request.

        A draft that is a passage of a longer text is judged up to its own length; any other until an end token, a stop
        string or the budget ends the text.

        Raises:
            RunError: STAGE_FAILED, for a draft without a prompt.
        """
        prompt = condition(value, context, "draft_verify/ngram")
        budget = context.budget
        if isinstance(value, Draft) and value.finish_reason == "split":
            budget = min(budget, len(value.token_ids))
            if budget == 0:
                return nothing(value, prompt, context)
        decoded = yield DecodeRequest(
            prompt_ids=prompt.token_ids,
            max_new_tokens=budget,
            sampling=context.generation.sampling,
            seed=context.seed,
            stop=context.generation.stop,
            drafter=self._drafter(value, prompt),
            accept=rule_of(self._options),
            length=self._options.length,
        )
        return verified(decoded, value, prompt, context)

    def _drafter(self, value: Prompt | Draft, prompt: Prompt) -> Drafter:
        options = self._options
        reference = () if isinstance(value, Prompt) else value.token_ids
        lookup = NgramDrafter(
            k=options.k, min_ngram=options.min_ngram, max_ngram=options.max_ngram, reference=reference
        )
        if isinstance(value, Prompt):
            return lookup
        return GivenDrafter(prompt_length=len(prompt.token_ids), given=reference, lookup=lookup, k=options.k)
