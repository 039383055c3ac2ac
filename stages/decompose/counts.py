"""Reading how many independent pieces a prompt asks for: `Write 5 haiku about autumn`."""

import re
from dataclasses import dataclass
from typing import Final

_NUMBERS: Final = {
    word: value
    for value, word in enumerate(
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], start=2
    )
} | {"fifteen": 15, "twenty": 20, "a dozen": 12}
MOST: Final = 50
_COUNT: Final = re.compile(
    r"\A\s*(?P<verb>(?:please\s+)?(?:(?:can|could) you\s+(?:please\s+)?)?"
    r"(?:write|generate|give|create|compose|suggest|propose|invent|make|produce|draft|provide|come up with|think of)"
    r"(?:\s+(?:me|us))?\s+)(?P<count>\d{1,3}|" + "|".join(_NUMBERS) + r")\s+"
    r"(?P<words>(?:(?!(?:of|for|about|on|in|with|that|to|from|and)\b)[\w'-]+[ ]+){0,4}?)"
    r"(?P<noun>haiku|haikus|[\w-]*[a-z]s)(?=[\s.,:!?]|\Z)(?P<rest>.*)\Z",
    re.IGNORECASE | re.DOTALL,
)
_NOT_APART: Final = re.compile(
    r"\A(?:words?|sentences|paragraphs|lines|pages|chapters|stanzas|verses|characters|minutes|hours|days|weeks|parts|"
    r"sections|steps|stages|bullets|points|scenes|acts|times|rows|columns|things|is|was|as|this)\Z",
    re.IGNORECASE,
)
_LINKED: Final = re.compile(
    r"\b(?:numbered|ranked|in order|most|least|best|worst|each|then|total|together|connected|related to each other|"
    r"and (?:then|write|explain|choose|pick))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A prompt cut at its count and noun, so that `before + 'one haiku' + after` asks for one piece."""

    before: str
    after: str
    count: int


def read_count(prompt: str) -> Counted | None:
    """The count of a prompt that asks for several pieces which can be made apart; None when that is not clear."""
    found = _COUNT.match(prompt)
    if found is None:
        return None
    number = found["count"].casefold()
    count = _NUMBERS.get(number) or int(number)
    apart = not (_NOT_APART.match(found["noun"]) or _LINKED.search(found["words"] + found["noun"] + found["rest"]))
    if not 2 <= count <= MOST or not apart:
        return None
    after = f"{found['words']}{singular(found['noun'])}{found['rest']}"
    return Counted(before=found["verb"], after=f" {after}", count=count)


def singular(noun: str) -> str:
    """An English plural in the singular, by its ending alone."""
    lower = noun.casefold()
    if lower.endswith("ies") and len(noun) > 4 and lower != "movies":
        return noun[:-3] + "y"
    if lower.endswith(("sses", "xes", "ches", "shes")):
        return noun[:-2]
    if lower.endswith("s") and not lower.endswith(("ss", "us", "is")):
        return noun[:-1]
    return noun
