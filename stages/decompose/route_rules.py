"""Rules about the wording of a request: is its answer several points that can be written apart?

Designed from what makes Skeleton-of-Thought fail (arXiv 2307.15337, section 4): text in which a sentence needs the one
before it (stories, code, mathematics, reasoning step by step, letters, role play), and answers of one fact.
"""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Whether to split, and the reason in words."""

    split: bool
    reason: str


MAX_WORDS: Final = 120
"""A longer request brings a text of its own; points about it would each have to read it again."""

_WRITE: Final = r"(?:write|compose|draft|create|tell|make|generate|structure|produce|craft|develop|prepare|invent)"
_ROLE: Final = (
    r"(?:if you were|imagine (?:that )?you(?:'re| are)|pretend|act as|role-?play|you are an?\b|you're an?\b|as an? )"
)
_WORK: Final = (
    r"(?:story|tale|poem|haiku|sonnet|limerick|song|lyrics|rap|script|screenplay|play|dialogue|monologue|soliloquy|novel|"
    r"essay|letter|e-?mail|message|memo|speech|blog|post|article|review|report|press release|announcement|joke|riddle|"
    r"resume|cv|biography|caption|slogan|tweet|diary|toast|eulogy|proposal|summary|paragraph|sentence|podcast)s?"
)
_PROGRAM: Final = (
    r"(?:program|function|code|script|algorithm|class|method|regex|regular expression|query|macro|unit tests?|api|"
    r"web ?page|html|css|sql|data structure|queue|stack|linked list|binary search|parser)"
)
_LIST_NOUN: Final = (
    r"(?:tips|ways|steps|strategies|methods|techniques|ideas|reasons|factors|differences|similarities|benefits|"
    r"advantages|disadvantages|pros|cons|challenges|problems|causes|effects|consequences|implications|impacts?|examples|"
    r"types|kinds|forms|aspects|features|characteristics|qualities|skills|habits|risks|dangers|principles|basics|"
    r"fundamentals|components|elements|parts|clues|signs|symptoms|uses|applications|options|alternatives|trends|roles|"
    r"suggestions|recommendations|points|topics|activities|things|lessons|mistakes|rules|stages|measures|arguments)"
)

_PLAIN: Final = (
    (r"```|[;{}]\s*$|\bdef \w+\(|#include|</\w+>", "the router saw code"),
    (
        rf"^implement\b|\b(?:{_WRITE}|code|build|fix|debug|refactor)\b.{{0,60}}\b{_PROGRAM}\b",
        "the router saw a request for code",
    ),
    (
        r"^(?:solve|calculate|compute|evaluate|simplify|integrate|differentiate|prove|factori[sz]e)\b"
        r"|\bfind the (?:value|length|area|sum|product|derivative|roots?|probability)\b"
        r"|\d\s*[-+*/^=]\s*\(?\d|\b[a-z]\([a-z]\)\s*=",
        "the router saw mathematics",
    ),
    (r"\bstep[- ]by[- ]step\b|\breasoning\b", "the router saw a request to reason step by step"),
    (
        r"^(?:translate|paraphrase|rewrite|rephrase|reword|proofread|summari[sz]e|shorten|correct|edit|fix|continue|complete)\b",
        "the router saw a request to rework a text",
    ),
    (rf"^{_ROLE}|^how would you (?:introduce|describe) your", "the router saw role play"),
    (
        rf"^(?:help me )?{_WRITE}\b.{{0,80}}\b{_WORK}\b|\b(?:a|an|the|my) (?:poem|short story|haiku|cover letter)\b",
        "the router saw one text to write as a whole",
    ),
    (
        r"^(?:how (?:many|much|old|tall|far|long|big|often|fast|heavy)|who|whose|whom|when|where|which)\b"
        r"|^what (?:year|time|day|date|color|colour|country|city)\b|\bcapital of\b",
        "the router saw a question with one answer",
    ),
)
_SPLIT: Final = (
    rf"\b{_LIST_NOUN}\b",
    r"\b(?:compare|contrast|versus|vs\.?)\b",
    r"^what if\b",
    r"^why\b",
    r"^how (?:can|could|should|might|to|do (?:i|we|you|people|they))\b",
    r"^how (?:do|does|did|can) .{3,120}\b(?:affect|influence|impact|change|shape|help)\b",
    r"^what (?:should|can|could|would|are|causes?|makes?|influences?)\b",
    r"^(?:list|name|suggest|recommend|describe|discuss|outline|explain)\b",
)
_ONE_PROCESS: Final = r"\bhow (?:do|does|did) .{2,80}\bworks?\b|^(?:explain|describe) the process\b"
_YES_NO: Final = (
    r"^(?:is|are|am|was|were|do|does|did|can|could|should|would|will|has|have|had)\b|\bis it (?:more|better|worse)\b"
)
_POLITE: Final = re.compile(
    r"^(?:(?:hi|hello|hey)\b[,!. ]*)?(?:please[, ]+)?(?:(?:can|could|would|will) you (?:please )?|"
    r"i (?:want|need|would like) you to |i(?:'d| would) like to know |"
    r"tell me (?=how|what|why|the|about|some)|help me understand )?(?:please )?"
)


def route_by_rules(request: str) -> Route:
    """Decide from the words of a request alone. Deterministic; when no rule speaks for a split, there is none."""
    text = " ".join(request.casefold().replace("\u2019", "'").split())
    text = _POLITE.sub("", text, count=1)
    words = text.split()
    if len(words) < 3:
        return Route(split=False, reason="the router saw too few words to plan an answer from")
    if len(words) > MAX_WORDS:
        return Route(split=False, reason="the router saw a request that brings a text of its own")
    for pattern, reason in _PLAIN:
        if re.search(pattern, text):
            return Route(split=False, reason=reason)
    if any(re.search(pattern, text) for pattern in _SPLIT) and not re.search(_ONE_PROCESS, text):
        return Route(split=True, reason="the router saw a question with several aspects")
    if re.search(_YES_NO, text):
        return Route(split=False, reason="the router saw a question of yes or no")
    return Route(split=False, reason="the router saw no sign of several points")
