"""What an editor made of texts, against corrections that people wrote."""

import difflib
import math
import random
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Final

from ptgflow.engine.edit.tagger.words import words_of

Words = tuple[str, ...]
_DRAWS: Final = 500
_LONGEST: Final = 4


def cut(text: str) -> Words:
    """Words and marks, whether a text has spaces between them or not: texts and corrections are cut alike."""
    return tuple(word.text for word in words_of(text))


def gleu(sources: Sequence[Words], written: Sequence[Words], references: Sequence[Sequence[Words]]) -> float:
    """GLEU of a corpus, in percent (Napoles et al., arXiv 1605.02592: n-grams to 4).

    It is the mean over 500 draws of one reference a sentence.
    """
    counts = [
        [_counts(source, own, reference) for reference in several]
        for source, own, several in zip(sources, written, references, strict=True)
    ]
    drawn = random.Random(0)
    scores: list[float] = []
    for _ in range(_DRAWS):
        total = [sum(column) for column in zip(*(drawn.choice(one) for one in counts), strict=True)]
        if min(total) == 0:
            scores.append(0.0)
            continue
        precision = sum(math.log(total[at] / total[at + 1]) for at in range(2, len(total), 2)) / _LONGEST
        scores.append(math.exp(min(0.0, 1 - total[1] / total[0]) + precision))
    return 100 * statistics.mean(scores)


def _counts(source: Words, written: Words, reference: Words) -> list[int]:
    """Lengths, and for each n what counts for the text and how many n-grams it has."""
    found = [len(written), len(reference)]
    for size in range(1, _LONGEST + 1):
        own, right, wrong = _grams(written, size), _grams(reference, size), _grams(source, size)
        # What the source has and the reference has not should have been changed.
        left = Counter({gram: count for gram, count in wrong.items() if gram not in right})
        found += [max(sum((own & right).values()) - sum((own & left).values()), 0), max(len(written) + 1 - size, 0)]
    return found


def _grams(words: Words, size: int) -> Counter[Words]:
    return Counter(words[at : at + size] for at in range(len(words) - size + 1))


def f_half(sources: Sequence[Words], written: Sequence[Words], references: Sequence[Sequence[Words]]) -> float:
    """F0.5 of word edits, in percent; 100 where there was nothing to edit, and nothing was.

    Of each sentence that reference counts that gives it most right, and then fewest missed.
    """
    right = made = wanted = 0
    for source, own, several in zip(sources, written, references, strict=True):
        mine = edits_of(source, own)
        theirs = max((edits_of(source, one) for one in several), key=lambda one: (len(mine & one), -len(one)))
        right, made, wanted = right + len(mine & theirs), made + len(mine), wanted + len(theirs)
    if not right:
        return 0.0 if made or wanted else 100.0
    precision, recall = right / made, right / wanted
    return 100 * 1.25 * precision * recall / (0.25 * precision + recall)


def edits_of(source: Words, written: Words) -> set[tuple[int, int, Words]]:
    """Which stretches of the source became what."""
    return {
        (i, j, written[k:n])
        for kind, i, j, k, n in difflib.SequenceMatcher(None, source, written, autojunk=False).get_opcodes()
        if kind != "equal"
    }
