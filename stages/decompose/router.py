"""Who decides whether a prompt is split at all: rules about its wording, the model itself, or nobody."""

from typing import Literal

from ptgflow.contracts import Prompt
from ptgflow.engine.request import DecodeRequest
from ptgflow.stages.base import StageContext, Work
from ptgflow.stages.decompose.conversation import ask
from ptgflow.stages.decompose.prompts import route_request
from ptgflow.stages.decompose.route_rules import Route, route_by_rules

RouterName = Literal["rules", "model"]
_ANSWER_TOKENS = 4


def route(router: RouterName | None, prompt: Prompt, context: StageContext) -> Work[Route]:
    """Decide on one prompt; only `model` costs a decode request."""
    if router is None:
        return Route(split=True, reason="no router")
    if router == "rules":
        return route_by_rules(prompt.text)
    asked = ask(prompt, route_request(prompt.text), context, prefix="")
    decoded = yield DecodeRequest(
        prompt_ids=asked.token_ids,
        max_new_tokens=_ANSWER_TOKENS,
        sampling=context.generation.sampling.model_copy(update={"temperature": 0.0}),
        seed=context.seed,
        visible=False,
    )
    return read_route(decoded.text)


def read_route(answer: str) -> Route:
    """The decision in the first word of the model's answer; anything but a yes keeps the prompt whole."""
    words = answer.replace("*", " ").split()
    if words and words[0].casefold().strip(".,:;!\"'") == "yes":
        return Route(split=True, reason="the model said yes")
    return Route(split=False, reason="the model was asked and did not want a list")
