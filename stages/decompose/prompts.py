"""What Decompose says to a model, in one place: the wording decides whether a small model keeps to the form.

Chosen by trial on SmolLM2-135M-Instruct. One worked example keeps the skeleton to short headings; two or more make the
small model copy their subjects. Naming the point by its number and opening the answer with its heading keeps the text
of a point to itself; naming it by its heading makes the model talk about the outline.
"""

from collections.abc import Sequence
from typing import Final

from ptgflow.stages.decompose.plan_text import render_points

PLAN_PREFIX: Final = "1."
"""Opens the skeleton, so that the first thing the model writes is a point and not a preamble."""

POINT_STOP: Final = ("\n",)
"""Ends the text of a point: the next line would be the next point or a remark about the answer."""

PLAN_PENALTY: Final = 1.1
"""Least repetition penalty of the skeleton. Without one a small model repeats its first heading to the end."""


def plan_request(question: str) -> str:
    """Asks for the skeleton of the answer to `question`."""
    return (
        f"Question: {question.strip()}\n\n"
        "List the main points of a good answer. Give only a short heading for each point."
    )


PLAN_EXAMPLE: Final = (
    plan_request("Why do people keep a garden?"),
    render_points(
        (
            "Fresh food at home",
            "Exercise in the open air",
            "Less stress",
            "A home for birds and bees",
            "Time with family",
        )
    ),
)


_COUNTS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def point_request(question: str, titles: Sequence[str], number: int, sentences: int) -> str:
    """Asks for the text of one point, the whole skeleton in sight.

    Args:
        question: The user's request.
        titles: The skeleton.
        number: Which point, counted from 1.
        sentences: About how many it should have, at least 1 and at most 12.
    """
    size = f"{_COUNTS[sentences - 2]} or {_COUNTS[sentences - 1]} sentences" if sentences > 1 else "one sentence"
    return (
        f"{question.strip()}\n\nOutline of the answer:\n{render_points(titles)}\n\n"
        f"Write point {number} of the answer, in {size}."
    )


def point_heading(title: str, number: int) -> str:
    """How a point opens in the answer; it ends without a space, which the model writes itself."""
    return f"{number}. **{title}:**"


def route_request(question: str) -> str:
    """Asks the model whether a request should be split."""
    return (
        f"Request: {question.strip()}\n\n"
        "Is the best answer to this request a list of several separate points? Answer yes or no."
    )


def piece_request(request: str, number: int, count: int) -> str:
    """Asks for one of several pieces that the user wants of the same kind."""
    return f"{request.strip()}\n\nThis is number {number} of {count}. Write only this one, different from the others."
