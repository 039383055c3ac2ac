"""Skeleton-of-Thought (Ning et al. 2023, arXiv 2307.15337): plan the points first, then write them side by side."""

from typing import final

from ptgflow.contracts import Branches, Prompt, Segment
from ptgflow.engine.request import DecodeRequest
from ptgflow.stages.base import AbstractDecompose, StageContext, Work
from ptgflow.stages.decompose.budget import shares
from ptgflow.stages.decompose.conversation import ask
from ptgflow.stages.decompose.plain import plain
from ptgflow.stages.decompose.plan_drafter import PlanForm
from ptgflow.stages.decompose.plan_text import parse_points
from ptgflow.stages.decompose.prompts import (
    PLAN_EXAMPLE,
    PLAN_PENALTY,
    PLAN_PREFIX,
    POINT_STOP,
    plan_request,
    point_heading,
    point_request,
)
from ptgflow.stages.decompose.router import route
from ptgflow.stages.decompose.spec import SkeletonOptions


@final
class Skeleton(AbstractDecompose):
    """Asks the model for a numbered list of headings and makes one sub-prompt of each.

    A prompt that the router keeps whole, and one whose skeleton has too few points, comes back as the only branch.
    """

    def __init__(self, options: SkeletonOptions) -> None:
        """Take how many points there may be, and the router."""
        self._options = options

    def run(self, value: Segment, context: StageContext) -> Work[Branches[Segment]]:
        """Yield a request for the route, if the model routes, and one for the skeleton; return the sub-prompts."""
        assert isinstance(value, Prompt), "a skeleton is made for a prompt"
        if value.prefix:
            return plain(value, "the prompt opens its own answer, which can only be continued")
        decision = yield from route(self._options.router, value, context)
        if not decision.split:
            return plain(value, decision.reason)
        titles = yield from self._plan(value, context)
        if len(titles) < self._options.min_points:
            found = {0: "no point", 1: "only one point"}.get(len(titles), f"only {len(titles)} points")
            return plain(value, f"the skeleton had {found}")
        return self._points(value, titles, context)

    def _plan(self, prompt: Prompt, context: StageContext) -> Work[tuple[str, ...]]:
        """The headings that the model plans: greedy at temperature 0, otherwise with the run's own sampling."""
        options = self._options
        sampling = context.generation.sampling
        penalty = max(sampling.repetition_penalty, PLAN_PENALTY)
        asked = ask(prompt, plan_request(prompt.text), context, prefix=PLAN_PREFIX, examples=(PLAN_EXAMPLE,))
        decoded = yield DecodeRequest(
            prompt_ids=asked.token_ids,
            max_new_tokens=options.plan_tokens,
            sampling=sampling.model_copy(update={"repetition_penalty": penalty}),
            seed=context.seed,
            stop=(f"\n{options.max_points + 1}.",),
            drafter=PlanForm(codec=context.model.codec, prompt=len(asked.token_ids), prefix=PLAN_PREFIX),
            length="fixed",
            visible=False,
        )
        text = PLAN_PREFIX + decoded.text
        return parse_points(text, max_points=options.max_points, complete=decoded.finish_reason != "length")

    def _points(self, prompt: Prompt, titles: tuple[str, ...], context: StageContext) -> Branches[Segment]:
        headings = [point_heading(title, number) for number, title in enumerate(titles, 1)]
        leads = (headings[0], *(f"\n{heading}" for heading in headings[1:]))
        share = shares(context, leads)
        if share is None:
            return plain(prompt, f"max_tokens leaves too little room for {len(titles)} points")
        return Branches(
            items=tuple(
                ask(
                    prompt, point_request(prompt.text, titles, number, self._options.sentences), context, prefix=heading
                )
                for number, heading in enumerate(headings, 1)
            ),
            leads=leads,
            titles=titles,
            how=f"{len(titles)} points" if len(titles) > 1 else "1 point",
            stop=POINT_STOP,
            share=share,
        )
