"""What all drafters of DraftVerify share: a request whose proposals the target judges."""

from typing import ClassVar, Generic, TypeVar

from ptgflow.contracts import Draft, Prompt, Verified
from ptgflow.engine.request import DecodeRequest, Drafter, JointDrafter
from ptgflow.stages.base import AbstractMethod, StageContext, Work
from ptgflow.stages.draft_verify.given import condition, nothing, verified
from ptgflow.stages.draft_verify.lengths import length_of
from ptgflow.stages.draft_verify.lookup import GivenDrafter
from ptgflow.stages.draft_verify.options import VerifyOptions
from ptgflow.stages.draft_verify.rules import rule_of
from ptgflow.stages.draft_verify.trees import builder_of

OptionsT = TypeVar("OptionsT", bound=VerifyOptions)


class Verifying(AbstractMethod[Prompt | Draft, Verified], Generic[OptionsT]):
    """Answers a prompt, or judges a draft: its tokens are proposed first, and what the drafter says after a rejection.

    A fused stage before it drafts, too, and what all propose is one tree.
    """

    name: ClassVar[str]
    """Of the drafter."""

    def __init__(self, options: OptionsT) -> None:
        self.options = options
        self._joint: tuple[JointDrafter, ...] | None = None
        """Made once: these hold weights, and what they know of all rows."""

    def own(self, given: tuple[int, ...]) -> Drafter | None:
        """A drafter of one row, which may look into a given text; None: there is none."""
        del given
        return None

    def joint(self, context: StageContext) -> tuple[JointDrafter, ...]:
        """Drafters of all rows."""
        del context
        return ()

    def run(self, value: Prompt | Draft, context: StageContext) -> Work[Verified]:
        """Yield one request.

        A draft that is a passage of a longer text is judged up to its own length; any other until an end token, a stop
        string or the budget ends the text.

        Raises:
            RunError: STAGE_FAILED, for a draft without a prompt; or whatever is wrong with a drafter's weights.
        """
        prompt = condition(value, context, f"draft_verify/{self.name}")
        budget = context.budget
        if isinstance(value, Draft) and value.finish_reason == "split":
            budget = min(budget, len(value.token_ids))
            if budget == 0:
                return nothing(value, prompt, context)
        if self._joint is None:
            fused = (
                ()
                if context.drafts is None
                else (context.drafts(builder_of(self.options), self.options.k, self.options.least),)
            )
            self._joint = (*fused, *self.joint(context))
        decoded = yield DecodeRequest(
            prompt_ids=prompt.token_ids,
            max_new_tokens=budget,
            sampling=context.generation.sampling,
            seed=context.seed,
            stop=context.generation.stop,
            drafter=self._drafter(value, prompt),
            joint=self._joint,
            accept=rule_of(self.options),
            length=length_of(self.options, context.seed),
        )
        return verified(decoded, value, prompt, context)

    def _drafter(self, value: Prompt | Draft, prompt: Prompt) -> Drafter | None:
        given = () if isinstance(value, Prompt) else value.token_ids
        own = self.own(given)
        if isinstance(value, Prompt):
            return own
        return GivenDrafter(prompt_length=len(prompt.token_ids), given=given, lookup=own, k=self.options.k)
