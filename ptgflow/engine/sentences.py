"""Where sentences and paragraphs end: pure functions on strings that never lose a character.

A small rule, and no dependency: a sentence ends at a mark (with closing quotes and brackets) that is followed by white
space, unless the mark belongs to an abbreviation, an initial or a list number, or the next word goes on in lower case.
Full-width marks of Chinese and Japanese end a sentence without white space after them.
"""

import re
from typing import Final

_CLOSERS: Final = "\"')\\]\u00bb\u2019\u201d*_"
_END: Final = re.compile(
    rf"(?P<mark>[.!?\u2026]+)(?P<close>[{_CLOSERS}]*)(?=\s|$)|[\u3002\uff01\uff1f\uff61]+[\u300d\u300f\uff09\u201d\u2019]*"
)
_LAST_WORD: Final = re.compile(r"[^\s(\[\"'\u2018\u201c]*$")
_PARAGRAPH_BREAK: Final = re.compile(r"\n[^\S\n]*\n\s*")
_ABBREVIATIONS: Final = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "sr",
        "jr",
        "st",
        "mt",
        "rev",
        "gen",
        "col",
        "sgt",
        "capt",
        "lt",
        "hon",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "cf",
        "al",
        "approx",
        "dept",
        "est",
        "fig",
        "figs",
        "eq",
        "eqs",
        "no",
        "nos",
        "vol",
        "pp",
        "p",
        "ed",
        "eds",
        "inc",
        "ltd",
        "co",
        "corp",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "a.m",
        "p.m",
        "u.s",
        "u.k",
        "ph.d",
    ]
)
_MAY_END: Final = frozenset(["etc", "al", "inc", "ltd", "co", "corp", "a.m", "p.m", "u.s", "u.k", "ph.d", "jr", "sr"])
"""Abbreviations that also stand last in a sentence: there the next word's capital decides."""


def split_sentences(text: str) -> tuple[str, ...]:
    """The sentences of `text`, each with the white space after it; joined they give `text` back exactly."""
    cuts = [_after_space(text, found.end()) for found in _END.finditer(text) if _ends_sentence(text, found)]
    return _cut(text, cuts)


def split_paragraphs(text: str) -> tuple[str, ...]:
    """The paragraphs of `text`, each with the blank lines after it; joined they give `text` back exactly."""
    return _cut(text, [found.end() for found in _PARAGRAPH_BREAK.finditer(text)])


def crop_to_sentence(text: str) -> str:
    """`text` up to its last complete sentence, without white space at the end; as it is when no sentence is complete.

    For a text that a token limit cut: half a sentence at the end of a point reads worse than none.
    """
    last = max((found.end() for found in _END.finditer(text) if _ends_sentence(text, found)), default=None)
    return text if last is None else text[:last]


def _ends_sentence(text: str, found: re.Match[str]) -> bool:
    mark = found.group("mark")
    if mark is None:
        return True
    following = text[_after_space(text, found.end()) :][:1]
    if mark == "." and not found.group("close"):
        word = _LAST_WORD.search(text, 0, found.start())
        before = word.group() if word else ""
        if _is_short_form(before, following):
            return False
    elif set(mark) <= {".", "\u2026"} and len(mark) + mark.count("\u2026") > 1:
        # An ellipsis in the middle of a sentence goes on in lower case.
        return not following.islower()
    return not (following.islower() and found.group("close"))


def _is_short_form(before: str, following: str) -> bool:
    """Whether the full stop after the word `before` belongs to an abbreviation, an initial or a list number."""
    plain = before.strip("*_#").casefold()
    if plain in _ABBREVIATIONS:
        return not (plain in _MAY_END and (not following or following.isupper()))
    if len(plain) == 1 and plain.isalpha() and before.strip("*_#").isupper():
        return plain != "i"
    return plain.isdigit() and len(plain) <= 2 and not following.isspace() and following != ""


def _after_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _cut(text: str, positions: list[int]) -> tuple[str, ...]:
    inner = sorted({position for position in positions if 0 < position < len(text)})
    edges = [0, *inner, len(text)]
    return tuple(text[start:end] for start, end in zip(edges, edges[1:], strict=False)) if text else ()
