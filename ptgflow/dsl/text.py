"""The text form of a flow: `split >> write >> repair`."""

import re
from collections import Counter

_TOKEN = re.compile(r"\s*(?:(?P<slot>[^\W\d]\w*)|(?P<arrow>>>)|(?P<paren>[()])|(?P<other>\S))")


class FlowSyntaxError(ValueError):
    """A flow cannot be read; the message says what was found and where."""


def parse_flow(text: str) -> tuple[str, ...]:
    """The slots of a flow from left to right. Parentheses group and change nothing: `>>` is associative.

    Raises:
        FlowSyntaxError: something else than slots, `>>` and balanced parentheses.
    """
    if not text.strip():
        return ()
    slots: list[str] = []
    depth = 0
    wants_slot = True
    for match in _TOKEN.finditer(text):
        kind, found, column = match.lastgroup, match[match.lastgroup or 0], match.end()
        if kind == "slot" and wants_slot and found.isidentifier():
            slots.append(found)
            wants_slot = False
        elif kind == "arrow" and not wants_slot:
            wants_slot = True
        elif found == "(" and wants_slot:
            depth += 1
        elif found == ")" and not wants_slot and depth:
            depth -= 1
        else:
            expected = "a slot" if wants_slot else ">>"
            raise FlowSyntaxError(f"{found!r} at column {column} of {text!r}, where {expected} should stand")
    if wants_slot:
        raise FlowSyntaxError(f"{text!r} ends where a slot should stand")
    if depth:
        raise FlowSyntaxError(f"{text!r} opens a parenthesis and does not close it")
    return tuple(slots)


def render_flow(slots: tuple[str, ...]) -> str:
    """`split >> write`: the inverse of `parse_flow`."""
    return " >> ".join(slots)


def repeated(slots: tuple[str, ...]) -> dict[str, int]:
    """Slots that stand more than once, with how often."""
    return {slot: times for slot, times in Counter(slots).items() if times > 1}
