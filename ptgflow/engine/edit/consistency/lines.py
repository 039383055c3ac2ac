"""A text as lines: what is a list item or a heading, what title it begins with, and what is code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_LINE: Final = re.compile(r"(?P<indent>[ \t]*)(?P<marker>(?P<number>\d{1,3})(?P<stop>[.)])|[-*+\u2022]|#{1,6})?[ \t]*")
_TITLE: Final = re.compile(
    r"\*\*(?P<inside>[^*\s:](?:[^*:\n]{0,78}[^*\s:])?):\*\*(?=\s|$)"
    r"|\*\*(?P<outside>[^*\s:](?:[^*:\n]{0,78}[^*\s:])?)\*\*:(?=\s|$)"
    r"|\*\*(?P<bold>[^*\s:](?:[^*:\n]{0,78}[^*\s:])?)\*\*(?=\s|$)"
    r"|(?P<plain>[^\W\d_](?:[^*:.!?\n]{0,58}[^*\s:.!?])?):(?=\s|$)"
)
_FENCE: Final = re.compile(r"[ \t]*(```|~~~)")
_WORDS: Final = 6
"""Most words of a title that only its colon tells: more are a sentence."""
TITLES: Final = {"inside": "**{}:**", "outside": "**{}**:", "bold": "**{}**", "plain": "{}:"}
"""How a title may be set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line outside of code; places are characters of the whole text."""

    begin: int
    end: int
    """Without its line break."""
    stop: int
    """With it."""
    indent: int
    number: str = ""
    """Of an item that has one."""
    mark: str = ""
    """What stands behind the number; or the bullet; or the heading's hashes."""
    content: int
    """Where what is said begins."""
    title: str = ""
    style: str = ""
    """One of `TITLES`; empty for a line without a title."""
    body: int
    """Where what is said behind the title begins."""

    @property
    def item(self) -> bool:
        """Whether it is a numbered one."""
        return bool(self.number)

    @property
    def heading(self) -> bool:
        return self.mark.startswith("#")


def lines_of(text: str) -> Iterator[Line]:
    """The lines of a text, without those of code between fences."""
    begin, fence = 0, ""
    for whole in text.splitlines(keepends=True):
        found = _FENCE.match(whole)
        if found is not None and fence in ("", found[1]):
            fence = "" if fence else found[1]
        elif not fence:
            yield _line(whole, begin)
        begin += len(whole)


def _line(whole: str, begin: int) -> Line:
    words = whole.rstrip("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
    found = _LINE.match(words)
    assert found is not None, "everything in the pattern may be missing"
    marker = found["marker"] or ""
    # A marker is one only where white space or nothing follows: 3.5 is a number, and **bold** is no bullet.
    if marker and found.end("marker") == found.end() < len(words):
        marker = ""
    content = found.end() if marker else found.end("indent")
    titled = _TITLE.match(words, content)
    if titled is not None and titled.lastgroup == "plain" and len(titled["plain"].split()) > _WORDS:
        titled = None
    style = titled.lastgroup if titled is not None else None
    after = titled.end() if titled is not None else content
    return Line(
        begin=begin,
        end=begin + len(words),
        stop=begin + len(whole),
        indent=len(found["indent"].expandtabs(4)),
        number=(found["number"] or "") if marker else "",
        mark=(found["stop"] or marker) if marker else "",
        content=begin + content,
        title=titled[style] if titled is not None and style is not None else "",
        style=style or "",
        body=begin + after + len(words[after:]) - len(words[after:].lstrip()),
    )
