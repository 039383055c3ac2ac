"""The editor that tags: one edit a word a pass, from left to right (GECToR, arXiv 2005.12592, section 5)."""

import math
from collections.abc import Sequence
from typing import ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from ptgflow.engine.edit.changes import Change
from ptgflow.engine.edit.rules import EditAsk, Revision
from ptgflow.engine.edit.tagger.choosing import Tagged, Thresholds, chosen
from ptgflow.engine.edit.tagger.network import TaggerNetwork
from ptgflow.engine.edit.tagger.tags import KEEP, START, UntaggableError, Verbs, merges, rewritten
from ptgflow.engine.edit.tagger.words import OPENING, Word, sentences_of, windows, words_of

_OVERLAP: Final = 24
"""Words that two windows of a long sentence share."""


@final
class TaggerEditor:
    """Reads a text sentence by sentence; what is longer than the tagger's window, in windows that overlap."""

    name: ClassVar[str] = "tagger"

    def __init__(self, network: TaggerNetwork, thresholds: Thresholds, verbs: Verbs) -> None:
        self._network = network
        self._thresholds = thresholds
        self._verbs = verbs

    def revise(self, asks: Sequence[EditAsk]) -> list[Revision]:
        """One pass over every text."""
        return [Revision(changes=self._changes(ask.text)) for ask in asks]

    def free(self, row: int) -> None:
        """Nothing is kept."""
        del row

    def _changes(self, text: str) -> tuple[Change, ...]:
        words = words_of(text)
        # An encoder of a text without a word has nothing to say.
        sizes = self._network.pieces([word.text for word in words]) if words else []
        found: list[Change] = []
        for sentence in sentences_of(text, words):
            found += self._of_a_sentence(text, words, sizes, sentence, found[-1].end if found else 0)
        return tuple(found)

    def _of_a_sentence(
        self, text: str, words: Sequence[Word], sizes: Sequence[int], sentence: range, taken: int
    ) -> list[Change]:
        tagged = self._tagged(words, sizes, sentence)
        found: list[Change] = []
        if self._network.starts:
            found += self._opening(words[sentence.start], tagged.pop(0))
        for at, one in zip(sentence, tagged, strict=True):
            taken = found[-1].end if found else taken
            change = self._change(text, words, at, one, taken=taken, last=at == sentence.stop - 1)
            # A word that was merged into the one before has had its edit.
            if change is not None and change.begin >= taken:
                found.append(change)
        return found

    def _tagged(self, words: Sequence[Word], sizes: Sequence[int], sentence: range) -> list[Tagged]:
        """What is to become of each word, and before them of `$START`, where the tagger wants to see it.

        A word that the tokenizer does not know stays, whatever is said of it.
        """
        rows: list[NDArray[np.float64]] = []
        errors: list[NDArray[np.float64]] = []
        for window in windows(sizes, sentence, budget=self._network.budget, overlap=_OVERLAP):
            own = [words[at].text for at in window.words]
            starts = self._network.starts
            tags, wrong = self._network.read([START, *own] if starts else own)
            shift = starts - window.words.start
            opening = starts and window.told.start == sentence.start
            told = slice(window.told.start + shift - opening, window.told.stop + shift)
            rows.append(tags[told])
            errors.append(wrong[told])
        found = chosen(np.concatenate(rows), np.concatenate(errors), self._network.tags, self._thresholds)
        known = [1] * (len(found) - len(sentence)) + [sizes[at] for at in sentence]
        return [one if size or one.tag == KEEP else Tagged(KEEP, 1.0) for size, one in zip(known, found, strict=True)]

    def _opening(self, first: Word, one: Tagged) -> list[Change]:
        """What is put in front of a sentence."""
        kind, _, value = one.tag.partition("_")
        if kind != "$APPEND":
            return []
        score = math.log(max(one.probability, 1e-9))
        new = value if value[-1:] in OPENING else f"{value} "
        return [Change(begin=first.begin, old="", new=new, by=self.name, why=one.tag, score=score)]

    def _change(
        self, text: str, words: Sequence[Word], at: int, one: Tagged, *, taken: int, last: bool
    ) -> Change | None:
        """What a tag does to the text; None where it does nothing, or cannot be carried out."""
        if one.tag == KEEP:
            return None
        word, score = words[at], math.log(max(one.probability, 1e-9))
        glue = merges(one.tag)
        if glue is not None:
            if last:
                return None
            end = words[at + 1].begin
            return Change(begin=word.end, old=text[word.end : end], new=glue, by=self.name, why=one.tag, score=score)
        try:
            new = rewritten(word.text, one.tag, self._verbs)
        except UntaggableError:
            return None
        begin, end = word.begin, word.end
        if not new:
            # With the word goes the space before it, or behind it where that is the first of a line, or gone already.
            before = len(text[taken:begin]) - len(text[taken:begin].rstrip(" "))
            if before:
                begin -= before
            else:
                end += len(text[end:]) - len(text[end:].lstrip(" "))
        if text[begin:end] == new:
            return None
        return Change(begin=begin, old=text[begin:end], new=new, by=self.name, why=one.tag, score=score)
