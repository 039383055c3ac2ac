"""Putting another request in the place of a prompt's own, with everything that was said before it kept."""

from collections.abc import Sequence

from ptgflow.contracts import Message, Prompt
from ptgflow.stages.base import StageContext

Example = tuple[str, str]
"""A request and the answer that the model should imitate in form."""


def ask(
    prompt: Prompt, request: str, context: StageContext, *, prefix: str, examples: Sequence[Example] = ()
) -> Prompt:
    """A prompt that asks `request` where `prompt` asked its own question.

    In a conversation the examples come right after the system message and the earlier turns stay in their order. In
    raw text they are written out before the request.

    Args:
        prompt: The prompt that is being split.
        request: What to ask in its place.
        context: The stage's context; its run says whether the chat template is used.
        prefix: Opens the answer.
        examples: Requests with their answers.
    """
    if not context.generation.chat:
        parts = [f"{asked}\n\n{answer}" for asked, answer in examples]
        return context.prompt((), "\n\n".join([*parts, request]) + "\n\n", prefix)
    system = tuple(turn for turn in prompt.messages[:1] if turn.role == "system")
    earlier = prompt.messages[len(system) : -1]
    shown = tuple(
        turn
        for asked, answer in examples
        for turn in (Message(role="user", content=asked), Message(role="assistant", content=answer))
    )
    turns = (*system, *shown, *earlier, Message(role="user", content=request))
    return context.prompt(turns, request, prefix)
