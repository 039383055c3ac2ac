"""Reading the items of an enumeration: `A, B (x, y) and C`, and numbered or bulleted lines."""

import re
from dataclasses import dataclass
from typing import Final

_MARKER: Final = re.compile(r"^\s*(?:\(?\d{1,3}[.):]|\(?[a-h][.)]|[-*+\u2022\u2013])\s+(?=\S)", re.IGNORECASE)
_CONJUNCTION: Final = re.compile(r"^(?:and|or|&)\s+", re.IGNORECASE)
_LAST_PAIR: Final = re.compile(r"\s+(?:and|or|&)\s+", re.IGNORECASE)
_OPEN: Final = "([{\u201c"
_CLOSE: Final = ")]}\u201d"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBlock:
    """A block of consecutive list lines within a text."""

    items: tuple[str, ...]
    start: int
    """Offset of its first line."""
    end: int
    """Offset after its last line."""


def split_enumeration(text: str) -> tuple[str, ...]:
    """The items of an enumeration in a sentence; what stands in brackets or quotes is not split.

    `and` splits only the last part, and only when a comma came before it or there is nothing else to split at.
    """
    parts = [part.strip() for part in _at_commas(text)]
    parts = [_CONJUNCTION.sub("", part) for part in parts if part]
    if not parts:
        return ()
    tail = _LAST_PAIR.split(parts[-1])
    joined = bool(re.search(r",\s*(?:and|or|&)\s", text))
    if len(tail) == 2 and not joined and _balanced(tail[0]):
        parts[-1:] = tail
    return tuple(part.strip().rstrip(".:;").strip() for part in parts if part.strip().rstrip(".:;").strip())


def list_block(text: str) -> ListBlock | None:
    """The only block of at least two numbered or bulleted lines; None when there is none, or more than one.

    A line without marker continues the item above it when it is indented; a blank line between items is allowed.
    """
    blocks: list[ListBlock] = []
    items: list[str] = []
    start = end = position = 0
    gap = False
    for line in text.splitlines(keepends=True):
        marker = _MARKER.match(line)
        if marker:
            start = start if items else position
            items.append(line[marker.end() :].strip())
            end, gap = position + len(line), False
        elif items and not line.strip():
            gap = True
        elif items and line[:1].isspace() and not gap:
            items[-1] = f"{items[-1]} {line.strip()}"
            end = position + len(line)
        elif items:
            blocks.append(ListBlock(items=tuple(items), start=start, end=end))
            items = []
        position += len(line)
    if items:
        blocks.append(ListBlock(items=tuple(items), start=start, end=end))
    blocks = [block for block in blocks if len(block.items) >= 2]
    return blocks[0] if len(blocks) == 1 else None


def _at_commas(text: str) -> list[str]:
    parts, depth, begin = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in _OPEN) - (character in _CLOSE)
        if depth <= 0 and (character in ";\n" or (character == "," and not text[index + 1 : index + 2].isdigit())):
            parts.append(text[begin:index])
            begin = index + 1
    return [*parts, text[begin:]]


def _balanced(text: str) -> bool:
    return sum(character in _OPEN for character in text) == sum(character in _CLOSE for character in text)
