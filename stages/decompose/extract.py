"""ParallelPrompt's schema (arXiv 2506.18728): what a prompt asks for many times, read by rules from its own words.

The rules are conservative. Reading a list that is none spoils an answer, and missing one only costs time, so whatever
is unclear gives None.
"""

import re
from dataclasses import dataclass
from typing import Final

from ptgflow.stages.decompose.counts import read_count
from ptgflow.stages.decompose.listing import list_block, split_enumeration

DATA: Final = "{data}"
CONTEXT: Final = "{context}"
MAX_LABEL_WORDS: Final = 8

_EXTRACT: Final = re.compile(
    r"\A\s*(?P<verb>(?:please\s+)?(?:extract|identify|find|pull out|determine|retrieve)\s+(?:the\s+)?)(?P<list>[^\n]+?)"
    r"\s+(?P<from>(?:from|in)\s+(?:the|this)\s+(?:(?:following|given|below)\b[^\n.:,]{0,60}|text|passage|article)"
    r"(?:below)?)",
    re.IGNORECASE,
)
_ASIDE: Final = re.compile(
    r"\A[ ]*(?:[,.;][ ]*(?:if|when|where|use|write|answer|say|and)\b[^\n:]{0,90}?(?:[.]|(?=[:\n])))?[ ]*[:.]?\s*",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(
    r"\A(?:/?context\b:?|(?:the )?text(?: is)?\s*:|passage\s*:|article\s*:|input\s*:)\s*", re.IGNORECASE
)
_EACH: Final = re.compile(
    r"\b(?:each|every|all)\b.{0,40}\b(?:of (?:the|these)|following)\b|"
    r"\b(?:the following|these|following)\b(?:\s+\w+){0,3}\s+"
    r"(?:questions|sentences|words|terms|phrases|items|texts|topics|names|titles|statements|reviews|numbers|cities|"
    r"countries|products|concepts|paragraphs|expressions|tweets|headlines|problems|requests|verbs|idioms|prompts)\b",
    re.IGNORECASE,
)
_VERB: Final = re.compile(
    r"\b(?:translate|answer|explain|define|classify|correct|rewrite|paraphrase|describe|convert|summari[sz]e|label|"
    r"proofread|respond|solve|expand|simplify|write|give|spell|conjugate|improve|fix|tag|rate|tell)\b",
    re.IGNORECASE,
)
_TOGETHER: Final = re.compile(
    r"\b(?:rank|sort|order|compare|contrast|choose|pick|select|which|best|worst|combine|merge|group|match|relate|"
    r"relationship|difference|differences|common|together|overall|one|single|story|essay|schedule|plan|then|steps?|"
    r"rules|instructions|requirements|criteria|format|using|include|based on|following points)\b",
    re.IGNORECASE,
)
_QUESTION_LABEL: Final = re.compile(r"\A\s*questions?\s*:?\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """One request made many times. Either `data` holds what differs, or `count` says how often it is made."""

    template: str
    """The request with `{data}` in the place of the items or the count, and `{context}` in that of the text."""
    context: str = ""
    """The text that every item is about; empty for none."""
    data: tuple[str, ...] = ()
    count: int | None = None

    def __post_init__(self) -> None:
        if bool(self.data) == (self.count is not None):
            raise ValueError("Schema: give either data or a count")
        if DATA not in self.template:
            raise ValueError(f"Schema: the template has no place {DATA}")

    def fill(self, item: str) -> str:
        """The request for one item. Braces in the user's own words stay as they are."""
        before, _, after = self.template.partition(DATA)
        return before + item + (after.replace(CONTEXT, self.context, 1) if self.context else after)


def extract(prompt: str) -> Schema | None:
    """The schema of a prompt that lists its own items or says how many it wants; None when it does neither clearly."""
    if DATA in prompt or CONTEXT in prompt:
        return None
    for read in (_read_extraction, _read_list, _read_questions):
        schema = read(prompt)
        if schema is not None:
            return schema
    counted = read_count(prompt)
    return None if counted is None else Schema(template=counted.before + DATA + counted.after, count=counted.count)


def _read_extraction(prompt: str) -> Schema | None:
    """`Extract A, B and C from the following text: ...`."""
    found = _EXTRACT.match(prompt)
    if found is None:
        return None
    data = split_enumeration(found["list"])
    rest = prompt[found.end() :]
    aside = _ASIDE.match(rest)
    opening = aside.end() if aside else 0
    label = _LABEL.match(rest[opening:])
    context_at = found.end() + opening + (label.end() if label else 0)
    context = prompt[context_at:].strip()
    too_long = any(len(item.split()) > MAX_LABEL_WORDS for item in data)
    if len(data) < 2 or len(set(data)) < len(data) or too_long or len(context.split()) < 5:
        return None
    between = prompt[found.end("list") : context_at]
    return Schema(template=found["verb"] + DATA + between + CONTEXT, context=context, data=data)


def _read_list(prompt: str) -> Schema | None:
    """An instruction for each of several numbered or bulleted items."""
    block = list_block(prompt)
    if block is None:
        return None
    before, after = prompt[: block.start].strip(), prompt[block.end :].strip()
    paragraphs = [part for part in re.split(r"\n\s*\n", before) if part.strip()]
    if not paragraphs:
        return None
    instruction = paragraphs[-1].strip().rsplit("\n", 1)[-1]
    questions = all(item.rstrip().endswith("?") for item in block.items)
    addressed = bool(_EACH.search(instruction) and _VERB.search(instruction)) or (
        questions and bool(_VERB.search(instruction) or _QUESTION_LABEL.match(instruction))
    )
    if not addressed or _TOGETHER.search(instruction) or len(set(block.items)) < len(block.items):
        return None
    context = "\n\n".join(part for part in (before[: before.rindex(instruction)].strip(), after) if part)
    return _listed(_singular(instruction), context, block.items)


def _read_questions(prompt: str) -> Schema | None:
    """A passage and, on lines of their own at its end or start, several questions about it."""
    lines = [line.strip() for line in prompt.strip().splitlines() if line.strip()]
    asked = [line for line in lines if line.endswith("?")]
    told = [line for line in lines if not line.endswith("?")]
    apart = lines[-len(asked) :] == asked or lines[: len(asked)] == asked
    context = "\n".join(line for line in told if not _QUESTION_LABEL.match(line))
    if len(asked) < 2 or not apart or len(context.split()) < 30 or len(set(asked)) < len(asked):
        return None
    return _listed("Answer the question.", context, tuple(asked))


def _listed(instruction: str, context: str, data: tuple[str, ...]) -> Schema | None:
    if DATA in instruction or CONTEXT in instruction:
        return None
    template = f"{instruction}\n\n{DATA}" + (f"\n\n{CONTEXT}" if context else "")
    return Schema(template=template, context=context, data=data)


def _singular(instruction: str) -> str:
    """The instruction as it reads above one item only."""
    text = re.sub(
        r"\b(?:each|every|all) of (?:the following|these)\s+(\w+?)s\b", r"the following \1", instruction, flags=re.I
    )
    text = re.sub(r"\bthese\s+(\w+?)s\b", r"this \1", text, flags=re.IGNORECASE)
    text = re.sub(
        r"\b(the following(?:\s+\w+)??)\s+(question|sentence|word|term|phrase|item|text|topic|name|title|statement|"
        r"review|number|product|concept|paragraph|expression|tweet|headline|problem|request|verb|idiom|prompt)s\b",
        r"\1 \2",
        text,
        flags=re.IGNORECASE,
    )
    return "Answer the question:" if _QUESTION_LABEL.match(text) else text
