"""The likeliest texts under a CTC model: a search over texts in place of alignments."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.engine.oneshot.log_space import log_add
from ptgflow.engine.oneshot.written import Written

Text = tuple[int, ...]


@final
@dataclass(slots=True)
class _Mass:
    """Log-probability of the alignments so far that collapse to one text."""

    blank: float = -math.inf
    """Of those that end with a blank: the last token may follow once more."""
    token: float = -math.inf
    """Of those that end with the last token: the same again would be merged with it."""

    @property
    def total(self) -> float:
        return log_add(self.blank, self.token)


def prefix_beam(
    law: Float[Tensor, "batch places vocab"],
    counts: Int[Tensor, " batch"],
    *,
    blank: int,
    width: int | None = 16,
    candidates: int | None = 16,
) -> list[list[Written]]:
    """For each row the texts that are found, likeliest first, scored by the alignments of each that were followed.

    Prefix beam search (Hannun et al., arXiv 1408.2873, algorithm 1, without a language model). With every text and
    every token followed at each place the scores are the log-probabilities of all texts that are possible.

    Args:
        law: Log-probabilities of labels at each place.
        counts: Places of each row.
        blank: The label that writes nothing.
        width: Texts that are kept after each place; None keeps all.
        candidates: Labels of a place that may lengthen a text, the likeliest; None tries all.
    """
    size = law.shape[-1]
    tried = torch.topk(law, size if candidates is None else min(candidates, size), dim=-1).indices.tolist()
    return [_search(law[row, :count], tried[row][:count], blank, width) for row, count in enumerate(counts.tolist())]


def _search(
    places: Float[Tensor, "places vocab"], tried: Sequence[Sequence[int]], blank: int, width: int | None
) -> list[Written]:
    beam: dict[Text, _Mass] = {(): _Mass(blank=0.0)}
    for place, labels in zip(places, tried, strict=True):
        # Labels that do not lengthen a text here may still repeat its last token.
        read = [*labels, *(text[-1] for text in beam if text), blank]
        scores = dict(zip(read, place[read].tolist(), strict=True))
        reached = _step(beam, scores, [label for label in labels if label != blank], blank)
        beam = {text: reached[text] for text in _ranked(reached)[:width]}
    return [Written(text, beam[text].total) for text in _ranked(beam)]


def _step(
    beam: Mapping[Text, _Mass], scores: Mapping[int, float], labels: Sequence[int], blank: int
) -> dict[Text, _Mass]:
    """What each text of the beam becomes by one more place."""
    reached: dict[Text, _Mass] = defaultdict(_Mass)
    for text, mass in beam.items():
        same = reached[text]
        same.blank = log_add(same.blank, mass.total + scores[blank])
        if text:
            same.token = log_add(same.token, mass.token + scores[text[-1]])
        for label in labels:
            before = mass.blank if text and label == text[-1] else mass.total
            longer = reached[*text, label]
            longer.token = log_add(longer.token, before + scores[label])
    return reached


def _ranked(beam: dict[Text, _Mass]) -> list[Text]:
    """The texts that are possible at all, likeliest first; of equal ones, whatever order they were found in."""
    totals = {text: mass.total for text, mass in beam.items()}
    possible = [text for text, total in totals.items() if total > -math.inf]
    return sorted(possible, key=lambda text: (-totals[text], text))
