"""A comparison as a person reads it: one table of speed, one of quality, and what they are of."""

from collections.abc import Callable, Sequence
from typing import Final

from ptgflow.bench.comparison import Setting
from ptgflow.bench.judging import Judged
from ptgflow.bench.summary import MANY, Row, comparable, unrepeatable

_Column = tuple[str, Callable[[Row], str]]
_NONE: Final = "-"


def _number(value: float | None, digits: int) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{100 * value:.0f}%"


_SPEED: Final[tuple[_Column, ...]] = (
    ("s a request", lambda row: _number(row.seconds, 3)),
    ("tokens", lambda row: str(row.tokens)),
    ("tokens/s", lambda row: _number(row.tokens_per_s, 1)),
    ("x tokens/s", lambda row: _number(row.ratio.tokens_per_s if row.ratio else None, 2)),
    ("x faster", lambda row: _number(row.ratio.seconds if row.ratio else None, 2)),
    ("steps/token", lambda row: _number(row.steps_per_token, 3)),
    ("NFE/token", lambda row: _number(row.evaluations_per_token, 3)),
    ("critical", lambda row: _number(row.critical_rounds, 1)),
    ("accepted", lambda row: _number(row.acceptance_length, 2)),
)
_QUALITY: Final[tuple[_Column, ...]] = (
    ("perplexity", lambda row: _number(row.perplexity, 2)),
    ("rep-4", lambda row: _percent(row.repeated_4)),
    ("distinct-1", lambda row: _percent(row.distinct[0])),
    ("-2", lambda row: _percent(row.distinct[1])),
    ("-3", lambda row: _percent(row.distinct[2])),
    ("filled", lambda row: _percent(row.filled)),
    ("covered", lambda row: _percent(row.coverage)),
    ("ROUGE-L", lambda row: _percent(row.rouge_l)),
    ("chrF", lambda row: _number(row.chrf, 1)),
    ("as ar", lambda row: _NONE if row.identical is None else f"{row.identical}/{row.promised}"),
    ("changed", lambda row: _percent(row.changed)),
    ("GLEU", lambda row: _number(row.gleu, 1)),
    ("F0.5", lambda row: _number(row.f_half, 1)),
)


def tables(setting: Setting, rows: Sequence[Row], judged: Sequence[Judged]) -> str:
    """Everything that is printed at the end."""
    compared = len(comparable(judged)[1])
    if not rows:
        return "nothing was answered by all, so there is nothing to compare"
    parts = [
        _head(setting, compared),
        f"speed, against {setting.baseline}:\n{_table(rows, _SPEED)}",
        f"quality{_of(setting)}:\n{_table(rows, _QUALITY)}",
    ]
    notes = [*_split(rows, setting), *_unrepeated(judged)]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])


def _head(setting: Setting, compared: int) -> str:
    how = "greedy" if setting.temperature == 0 else f"temperature {setting.temperature:g}"
    theirs = "" if setting.transformers_dtype is None else f", transformers in {setting.transformers_dtype}"
    requests = f"{compared} request{'s' if compared != 1 else ''}"
    return (
        f"{setting.model}, weights in {setting.dtype}{theirs}; {requests}, {setting.max_tokens} tokens at most, {how}; "
        f"medians of {setting.repeats}, taking turns\n{setting.machine}"
    )


def _of(setting: Setting) -> str:
    return "" if setting.reference is None else f", ROUGE-L and chrF against the text of {setting.reference}"


def _table(rows: Sequence[Row], columns: Sequence[_Column]) -> str:
    """Numbers to the right; a column that applies to nobody is left out."""
    cells = [(title, [show(row) for row in rows]) for title, show in columns]
    shown = [(title, column) for title, column in cells if set(column) != {_NONE}]
    name = max(len(row.label) for row in rows)
    lines = ["  " + " " * name]
    lines += [f"  {row.label.ljust(name)}" for row in rows]
    for title, column in shown:
        width = max(map(len, [title, *column]))
        for at, cell in enumerate([title, *column]):
            lines[at] += f"  {cell.rjust(width)}"
    return "\n".join(lines)


def _split(rows: Sequence[Row], setting: Setting) -> list[str]:
    """What answers in several segments gain, where a part of the answers is split."""
    return [
        f"{row.label}: {row.split.cases} of {row.cases} answers in {MANY} or more segments, "
        f"{_number(row.split.tokens_per_s, 2)} x the tokens/s of {setting.baseline} there, "
        f"and {_number(row.split.seconds, 2)} x as fast"
        for row in rows
        if row.split is not None
    ]


def _unrepeated(judged: Sequence[Judged]) -> list[str]:
    return [
        f"{label}: another text in another repetition of {count} requests; quality is that of the first"
        for label, count in unrepeatable(judged).items()
    ]
