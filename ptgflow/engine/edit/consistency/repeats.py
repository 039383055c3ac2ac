"""Sentences that stand in a text twice."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from ptgflow.engine.edit.changes import Change
from ptgflow.engine.edit.consistency.lines import Line, lines_of
from ptgflow.engine.sentences import split_sentences

_WORD: Final = re.compile(r"\w+(?:['\u2019]\w+)*")
LEAST: Final = 4
"""Words of a sentence that may count as repeated: shorter ones are said again for a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence of a line."""

    line: Line
    begin: int
    end: int
    """Without the white space behind it."""
    words: tuple[str, ...]


def sentences(text: str) -> Iterator[Sentence]:
    """Those of all lines that are no headings."""
    for line in lines_of(text):
        if line.heading:
            continue
        at = line.body
        for piece in split_sentences(text[line.body : line.end]):
            words = tuple(found[0].casefold() for found in _WORD.finditer(piece))
            yield Sentence(line=line, begin=at, end=at + len(piece.rstrip()), words=words)
            at += len(piece)


def repeats(text: str, similar: float, by: str) -> tuple[Change, ...]:
    """Takes out the later of two sentences that say the same.

    What stands alone behind a title stays, since a title over nothing is worse; and so does what ends with a colon,
    as something follows from it.

    Args:
        text: of any length.
        similar: twice the words that two sentences have in common in the same order, of the words of both, from which
            they are the same; 1: all.
        by: who says so.
    """
    kept: list[Sentence] = []
    changes: list[Change] = []
    found = list(sentences(text))
    left = Counter(one.line.begin for one in found)
    for one in found:
        long = len(one.words) >= LEAST
        other = next((before for before in kept if long and _same(one, before, similar)), None)
        alone = left[one.line.begin] == 1
        if other is None or (alone and one.line.title) or text[one.begin : one.end].endswith(":"):
            kept.append(one)
            continue
        left[one.line.begin] -= 1
        begin, end = _with_space(text, one, alone=alone)
        # What a line had before goes with all of it; two sentences side by side share the space between them.
        while alone and changes and changes[-1].begin >= begin:
            changes.pop()
        begin = max(begin, changes[-1].end) if changes else begin
        why = f"says what stands before: {text[other.begin : other.end]!r}"
        changes.append(Change(begin=begin, old=text[begin:end], new="", by=by, why=why))
    return tuple(changes)


def _same(one: Sentence, other: Sentence, similar: float) -> bool:
    if one.words == other.words:
        return True
    short, long = sorted((len(one.words), len(other.words)))
    if 2 * short < similar * (short + long):
        return False
    # What a matching cannot exceed is known much sooner, and most sentences have little in common.
    matcher = SequenceMatcher(None, other.words, one.words, autojunk=False)
    return matcher.quick_ratio() >= similar and matcher.ratio() >= similar


def _with_space(text: str, one: Sentence, *, alone: bool) -> tuple[int, int]:
    """A sentence and what parts it from the others; of a line that has nothing else all of it."""
    line = one.line
    if alone:
        return line.begin, line.stop
    if one.end < line.end and one.begin == line.body:
        return one.begin, line.end - len(text[one.end : line.end].lstrip())
    return one.begin - (len(text[line.body : one.begin]) - len(text[line.body : one.begin].rstrip())), one.end
