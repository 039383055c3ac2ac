"""A text as a tagger reads it: words with their places, in overlapping windows."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(
    r"\d+(?:,\d{3})*(?:\.\d+)?"  # 12, 1,000 and 3.5, but not the comma behind a year
    r"|\w+(?:['\u2019]\w+)*"  # it's is one word
    r"|\.\.\.|[.!?]+|--+"
    r"|[^\w\s]"
)
OPENING: Final = frozenset("([{$\u201c\u2018")
_QUOTES: Final = frozenset("\"')]}\u201d\u2019")
CLOSING: Final = frozenset(".,;:!?)]}%\u2026\u201d\u2019")


@dataclass(frozen=True, slots=True)
class Word:
    """A word or a mark, and where it stands."""

    text: str
    begin: int

    @property
    def end(self) -> int:
        return self.begin + len(self.text)


def words_of(text: str) -> tuple[Word, ...]:
    """All words and marks, in order."""
    return tuple(Word(found[0], found.start()) for found in _WORD.finditer(text))


def sentences_of(text: str, words: Sequence[Word]) -> Iterator[range]:
    """The words of each sentence: up to a mark that ends one and what closes behind it, or to the end of a line."""
    begin = 0
    for at, word in enumerate(words):
        after = words[at + 1] if at + 1 < len(words) else None
        between = text[word.end : after.begin] if after is not None else "\n"
        ends = _closes(words, at) and bool(between.strip(" \t") or between) and (after is None or bool(between))
        if ends or "\n" in between:
            yield range(begin, at + 1)
            begin = at + 1
    assert begin == len(words), "the last word ends a line"


def _closes(words: Sequence[Word], at: int) -> bool:
    while at >= 0 and words[at].text in _QUOTES:
        at -= 1
    return at >= 0 and words[at].text[0] in ".!?"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of words that is read at once."""

    words: range
    told: range
    """Of these the ones that it tells of; the others are there to be seen."""


def windows(sizes: Sequence[int], words: range, *, budget: int, overlap: int) -> Iterator[Window]:
    """Windows over a stretch of words that tell each once, as far from a cut as can be.

    Args:
        sizes: pieces of each word of the text, as the tagger's tokenizer cuts it; one that it does not know is one.
        words: the stretch.
        budget: most pieces of a window; a longer word has a window of its own.
        overlap: words that two windows share at most; each tells of half of them.
    """
    begin = told = words.start
    while told < words.stop:
        end = _reached(sizes, words, begin, budget)
        # As many words are shared as leave room for one more behind them.
        shared = 0
        if end < words.stop:
            most = min(overlap, end - begin - 1)
            shared = next(
                one for one in range(most, -1, -1) if not one or _reached(sizes, words, end - one, budget) > end
            )
        last = end - shared // 2
        yield Window(range(begin, end), range(told, last))
        begin, told = end - shared, last


def _reached(sizes: Sequence[int], words: range, begin: int, budget: int) -> int:
    """Where a window ends that begins there."""
    end, room = begin, budget
    while end < words.stop and (end == begin or max(sizes[end], 1) <= room):
        room -= max(sizes[end], 1)
        end += 1
    return end
