"""Which tags are carried out: GECToR's biases and least probabilities (arXiv 2005.12592, section 5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptgflow.engine.edit.tagger.tags import DELETE, KEEP, UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """How sure a tagger must be."""

    keep_bias: float = 0.0
    """Added to the probability of keeping a word."""
    delete_bias: float = 0.0
    """Added to that of deleting it."""
    least_token: float = 0.0
    """Least probability of an edit, biases included."""
    least_sentence: float = 0.0
    """Least probability, at the likeliest place, that a sentence has an error at all."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """What is to become of one word."""

    tag: str
    probability: float


def chosen(
    probabilities: NDArray[np.float64],
    errors: NDArray[np.float64],
    tags: Sequence[str],
    thresholds: Thresholds,
) -> list[Tagged]:
    """For each word its likeliest tag, or that it is kept.

    Args:
        probabilities: words x tags.
        errors: of each word, the probability that something is wrong with it.
        tags: their names.
        thresholds: how sure the tagger must be. Biases are added to probabilities and nothing is normalised again.
    """
    keep = tags.index(KEEP)
    kept = [Tagged(KEEP, float(row[keep])) for row in probabilities]
    if not len(probabilities) or float(errors.max()) < thresholds.least_sentence:
        return kept
    biased = probabilities.copy()
    biased[:, keep] += thresholds.keep_bias
    if DELETE in tags:
        biased[:, tags.index(DELETE)] += thresholds.delete_bias
    found: list[Tagged] = []
    for at, row in enumerate(biased):
        best = int(row.argmax())
        idle = best == keep or tags[best] in UNKNOWN or float(row[best]) < thresholds.least_token
        found.append(kept[at] if idle else Tagged(tags[best], float(probabilities[at][best])))
    return found
