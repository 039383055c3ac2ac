"""From sheets to a row for each contender: sums over cases, so that a ratio says what happens to a pile of work."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ptgflow.bench.judging import SOURCE, Judged, Quality
from ptgflow.bench.measures.edits import cut, f_half, gleu
from ptgflow.bench.measures.repetition import mean

MANY: Final = 4
"""Segments from which on a split answer is also compared apart from the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Against the baseline, on the same cases."""

    cases: int
    tokens_per_s: float | None
    """Above 1: more tokens a second."""
    seconds: float
    """Above 1: done sooner. It differs from the other where answers differ in length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contender over all cases that everybody answered. What does not apply is None."""

    label: str
    cases: int
    seconds: float
    """Mean over cases of medians over repetitions."""
    tokens: int
    tokens_per_s: float | None
    ratio: Ratio | None
    split: Ratio | None
    """Of its answers in four or more segments."""
    steps_per_token: float | None
    """Critical rounds a token (survey, Eq. 2)."""
    evaluations_per_token: float | None
    """All rounds a token."""
    critical_rounds: float | None
    """Mean over cases."""
    acceptance_length: float | None
    perplexity: float | None
    """Of all texts together: the exponential of nats a token."""
    repeated_4: float | None
    distinct: tuple[float | None, ...]
    filled: float | None
    coverage: float | None
    rouge_l: float | None
    chrf: float | None
    identical: int | None
    """How many texts are the reference's token by token; None where none is promised to be."""
    promised: int
    """How many are."""
    changed: float | None
    gleu: float | None
    f_half: float | None


def summary(judged: Sequence[Judged], *, baseline: str) -> list[Row]:
    """A row for each contender that answered anything, in their order."""
    present, compared = comparable(judged)
    return [_row(label, compared, baseline if baseline in present else None) for label in present]


def comparable(judged: Sequence[Judged]) -> tuple[list[str], list[Judged]]:
    """Everybody who answered anything, and the cases that all of these answered."""
    labels = list(judged[0].sheets) if judged else []
    present = [label for label in labels if any(one.sheets[label].error is None for one in judged)]
    compared = [one for one in judged if all(one.sheets[label].error is None for label in present)]
    return (present, compared) if compared else ([], [])


def _row(label: str, judged: Sequence[Judged], baseline: str | None) -> Row:
    sheets = [one.sheets[label] for one in judged]
    known = [sheet.quality for sheet in sheets if sheet.quality is not None]
    tokens, seconds = sum(sheet.tokens for sheet in sheets), sum(sheet.median_s for sheet in sheets)
    critical = sum(sheet.critical_rounds for sheet in sheets)
    is_source = label == SOURCE
    many = [one for one in judged if len(one.sheets[label].points) >= MANY]
    promised = [one.identical for one in known if one.identical is not None]
    better, half = _edited(label, judged)
    return Row(
        label=label,
        cases=len(judged),
        seconds=seconds / len(judged),
        tokens=tokens,
        tokens_per_s=tokens / seconds if seconds else None,
        ratio=None if is_source else _ratio(label, baseline, judged),
        split=_ratio(label, baseline, many) if many and label != baseline else None,
        steps_per_token=critical / tokens if tokens and not is_source else None,
        evaluations_per_token=sum(sheet.rounds for sheet in sheets) / tokens if tokens and not is_source else None,
        critical_rounds=None if is_source else critical / len(judged),
        acceptance_length=mean([sheet.acceptance_length for sheet in sheets]),
        perplexity=_perplexity(known),
        repeated_4=mean([one.repeated_4 for one in known]),
        distinct=tuple(mean([one.distinct[at] for one in known]) for at in range(3)),
        filled=mean([one.filled for one in known]),
        coverage=mean([one.coverage for one in known]),
        rouge_l=mean([one.rouge_l for one in known]),
        chrf=mean([one.chrf for one in known]),
        identical=sum(promised) if promised else None,
        promised=len(promised),
        changed=mean([None if one.changed is None else float(one.changed) for one in known]),
        gleu=better,
        f_half=half,
    )


def _ratio(label: str, baseline: str | None, judged: Sequence[Judged]) -> Ratio | None:
    if baseline is None:
        return None
    own, base = ([one.sheets[name] for one in judged] for name in (label, baseline))
    mine, theirs = (sum(sheet.median_s for sheet in sheets) for sheets in (own, base))
    written, expected = (sum(sheet.tokens for sheet in sheets) for sheets in (own, base))
    per_s = (written / mine) / (expected / theirs) if expected else None
    return Ratio(cases=len(judged), tokens_per_s=per_s, seconds=theirs / mine)


def _perplexity(known: Sequence[Quality]) -> float | None:
    scored = sum(one.scored for one in known)
    return math.exp(sum(one.nats for one in known) / scored) if scored else None


def _edited(label: str, judged: Sequence[Judged]) -> tuple[float | None, float | None]:
    """GLEU and F0.5 against the references, where every text has some."""
    if not all(one.case.references for one in judged):
        return None, None
    sources = [cut(one.case.words) for one in judged]
    written = [cut(one.sheets[label].text) for one in judged]
    references = [[cut(text) for text in one.case.references] for one in judged]
    return gleu(sources, written, references), f_half(sources, written, references)


def unrepeatable(judged: Sequence[Judged]) -> dict[str, int]:
    """By label, how many cases were answered otherwise in another repetition; labels without any are left out."""
    found: dict[str, int] = {}
    for one in judged:
        for label, sheet in one.sheets.items():
            if not sheet.repeatable:
                found[label] = found.get(label, 0) + 1
    return found


def failures(judged: Sequence[Judged]) -> list[tuple[str, str, list[str]]]:
    """By label and reason the cases that were not answered."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in judged:
        for label, sheet in one.sheets.items():
            if sheet.error is not None:
                found.setdefault((label, sheet.error), []).append(one.case.id)
    return [(label, reason, ids) for (label, reason), ids in found.items()]
