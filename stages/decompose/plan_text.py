"""Reading a skeleton that a model wrote: from any text to a clean, ordered list of point titles."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Marker = Literal["number", "bold", "bullet"]

MAX_TITLE_WORDS: Final = 12
"""A longer point is a paragraph and not a heading: the model answered where it should have planned."""
MAX_TITLE_CHARS: Final = 100

_NUMBER: Final = re.compile(r"(?:(?:point|step|tip)\s+)?(?:\((\d{1,3})\)|(\d{1,3})\s*[.):](?!\d))\s*", re.IGNORECASE)
_BULLET: Final = re.compile(r"[-*+\u2022\u2023\u25aa\u25e6\u00b7\u2013\u2014](?=\s)\s*")
_BOLD: Final = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_DECORATION: Final = re.compile(r"[*_#`]+")
_INLINE_NUMBER: Final = re.compile(r"\s\(?\d{1,3}[.)](?=\s)")
_EXPLANATION: Final = re.compile(
    r"\s*:(?=\s|$)|\s+[-\u2013\u2014]+\s|(?<!\bvs)(?<!\b[A-Z])[.!?;](?=\s|$)|[\u3002\uff01\uff1f\uff1a]"
)
_WORD: Final = re.compile(r"[^\W_]+")
_SMALL_WORDS: Final = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "for",
        "from",
        "in",
        "into",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "our",
        "that",
        "the",
        "their",
        "this",
        "to",
        "with",
        "your",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line that opens a point."""

    marker: Marker
    number: int | None
    indent: int
    body: str


def parse_points(text: str, *, max_points: int, complete: bool = True) -> tuple[str, ...]:
    """The titles of the points in `text`, in order, at most `max_points`; empty when it holds no list.

    Numbered points (`1.`, `1)`, `(1)`, `**1. Title**`), bullets (`-`, `*`, ...) and bold headings are read, also
    several numbered points on one line. The least indented marker makes the points; what is nested below them is
    dropped, because the text of a point finds its own details, unless a single parent holds the whole list. A point
    keeps its heading alone (`Speed: trains are slower` gives `Speed`). A number that was already used ends the list,
    and a title whose words are contained in an earlier one, or contain it, is dropped.

    Args:
        text: What a model wrote, its open prefix included.
        max_points: Most titles to return.
        complete: False when the text was cut by a token limit: the last point then counts only if the cut came after
            its heading.
    """
    rows = text.split("\n")
    lines = [line for raw in rows for line in _read_line(raw)]
    if not complete and lines and _read_line(rows[-1]) and not _EXPLANATION.search(lines[-1].body.rstrip("*_ ") + "|"):
        lines.pop()
    if not lines:
        return ()
    top, nested = _levels(lines)
    chosen = top if len(top) > 1 or len(nested) < 2 else nested
    return _distinct(clean_title(line.body) for line in _before_restart(chosen))[:max_points]


def render_points(titles: Sequence[str]) -> str:
    """The titles as the numbered list that `parse_points` reads back unchanged."""
    return "\n".join(f"{number}. {title}" for number, title in enumerate(titles, 1))


def clean_title(body: str) -> str:
    """The heading within the text of a point: without markers, decoration and explanation; empty if none is left."""
    title = body
    while True:
        before = title
        bold = _BOLD.match(title.strip())
        title = bold.group(2) if bold else title
        title = " ".join(_DECORATION.sub("", title).split())
        marker = _NUMBER.match(title) or _BULLET.match(title)
        title = title[marker.end() :] if marker else title
        inline = _INLINE_NUMBER.search(title)
        title = title[: inline.start()] if inline else title
        title = _heading(title).strip(" .,:;!?\"'")
        if title == before:
            break
    fits = len(title) <= MAX_TITLE_CHARS and len(title.split()) <= MAX_TITLE_WORDS
    return title if fits and _WORD.search(title) else ""


def _heading(title: str) -> str:
    """What stands before the explanation; the whole when nothing stands there."""
    for found in _EXPLANATION.finditer(title):
        if _WORD.search(title[: found.start()]):
            return title[: found.start()]
    return title


def _read_line(raw: str) -> list[_Line]:
    """The points that a line opens: none, one, or several numbered ones in a row."""
    bare = raw.strip()
    indent = len(raw.expandtabs(4)) - len(raw.expandtabs(4).lstrip())
    plain = bare.lstrip("*_# ")
    number = _NUMBER.match(plain)
    if number:
        return _numbered(plain, int(number.group(1) or number.group(2)), number.end(), indent)
    bullet = _BULLET.match(bare)
    if bullet:
        return [_Line(marker="bullet", number=None, indent=indent, body=bare[bullet.end() :])]
    bold = _BOLD.match(bare)
    if bold and (bold.end() == len(bare) or bare[bold.end()] in ":." or bold.group(2).endswith(":")):
        return [_Line(marker="bold", number=None, indent=indent, body=bare)]
    return []


def _numbered(line: str, number: int, start: int, indent: int) -> list[_Line]:
    """Split `1. Rest. 2. Water. 3. Shoes.` at the numbers that follow each other."""
    found: list[_Line] = []
    while True:
        following = re.compile(rf"\s\(?\**{number + 1}[.)](?=\s)").search(line, start)
        body = line[start : following.start() if following else len(line)]
        found.append(_Line(marker="number", number=number, indent=indent, body=body))
        if following is None:
            return found
        number, start = number + 1, following.end()


def _levels(lines: Sequence[_Line]) -> tuple[list[_Line], list[_Line]]:
    """The points of the outer level, and everything nested below them."""
    outer = min(line.indent for line in lines)
    # One stray space is no nesting: small models indent the second and later points by one.
    shallow = [line for line in lines if line.indent <= outer + 1]
    order: tuple[Marker, ...] = ("number", "bold", "bullet")
    kind = next(marker for marker in order if any(line.marker == marker for line in shallow))
    top = [line for line in shallow if line.marker == kind]
    start = lines.index(top[0])
    return top, [line for line in lines[start:] if line not in top]


def _before_restart(lines: Sequence[_Line]) -> list[_Line]:
    """The lines up to the first number that was used before; a list that writes `1.` everywhere has no numbers."""
    numbers = [line.number for line in lines if line.number is not None]
    if len(set(numbers)) <= 1:
        return list(lines)
    seen: set[int] = set()
    kept: list[_Line] = []
    for line in lines:
        if line.number is not None and line.number in seen:
            break
        seen |= {line.number} if line.number is not None else set()
        kept.append(line)
    return kept


def _distinct(titles: Iterable[str]) -> tuple[str, ...]:
    """The titles that are not empty and say something that none before them says."""
    kept: list[str] = []
    words: list[frozenset[str]] = []
    for title in titles:
        own = _content(title)
        if title and not any(own <= other or other <= own for other in words):
            kept.append(title)
            words.append(own)
    return tuple(kept)


def _content(title: str) -> frozenset[str]:
    """The words that carry the title's meaning."""
    words = frozenset(_WORD.findall(title.casefold()))
    return words - _SMALL_WORDS or words
