"""Turn a given draft into a row that judges it, and the answer into a verified text."""

from collections.abc import Sequence

from ptgflow.contracts import Draft, Guarantee, Level, Prompt, Verified
from ptgflow.contracts.kinds import FinishReason, Verdict
from ptgflow.diagnostics.codes.runtime import STAGE_FAILED
from ptgflow.engine.prefixes import shared_length
from ptgflow.engine.request import Decoded
from ptgflow.errors import RunError
from ptgflow.stages.base import StageContext


def condition(value: Prompt | Draft, context: StageContext, method: str) -> Prompt:
    """What the text answers: the prompt itself, or the one that a draft carries.

    Raises:
        RunError: STAGE_FAILED, for a draft that carries none.
    """
    prompt = value if isinstance(value, Prompt) else value.prompt
    if prompt is None:
        reason = "the draft does not say which prompt it answers, so there is nothing to judge it against"
        remedy = "start the flow from a prompt, or give the draft its prompt"
        raise RunError([STAGE_FAILED(slot=context.slot, method=method, reason=reason, help=remedy)])
    return prompt


def guarantee(context: StageContext) -> Guarantee:
    """What every rule of acceptance promises: the target's greedy output, or the law of sampling it."""
    level: Level = "exact" if context.generation.sampling.temperature == 0 else "distribution"
    return Guarantee(level=level, target=context.model.name)


def verified(decoded: Decoded, value: Prompt | Draft, prompt: Prompt, context: StageContext) -> Verified:
    """The decoded text with, token by token, who wrote it and what the target said.

    Where the target writes a token itself (after the last token of a block) and it is the one that the draft has at
    that place, the draft's token has been accepted: all of the text up to the first difference is the draft's.
    """
    given: Sequence[int] = () if isinstance(value, Prompt) else value.token_ids
    same = shared_length(given, decoded.token_ids)
    origin = () if isinstance(value, Prompt) else value.origin[:same]
    agreed: list[Verdict] = ["accepted" for _ in range(same)]
    return Verified(
        token_ids=decoded.token_ids,
        tokenizer=context.model.codec.fingerprint,
        text=decoded.text,
        origin=(*origin, *([context.slot] * (len(decoded.token_ids) - same))),
        prompt=prompt,
        finish_reason=_finish_reason(decoded, value),
        scores=decoded.scores,
        tops=decoded.tops,
        verdicts=(*agreed, *decoded.verdicts[same:]),
        rejected=decoded.rejected,
        guarantee=guarantee(context),
    )


def nothing(value: Draft, prompt: Prompt, context: StageContext) -> Verified:
    """What becomes of an empty passage: there is nothing to judge and nothing to write."""
    return Verified(
        token_ids=(),
        tokenizer=context.model.codec.fingerprint,
        text="",
        origin=(),
        prompt=prompt,
        finish_reason=value.finish_reason,
        scores=(),
        verdicts=(),
        guarantee=guarantee(context),
    )


def _finish_reason(decoded: Decoded, value: Prompt | Draft) -> FinishReason:
    passage = isinstance(value, Draft) and value.finish_reason == "split"
    whole = isinstance(value, Draft) and len(decoded.token_ids) == len(value.token_ids)
    return "split" if passage and whole and decoded.finish_reason == "length" else decoded.finish_reason
