"""The requests of a comparison, read out of files of the kinds in which such data is published."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ptgflow.bench.spec import BenchSpec
from ptgflow.diagnostics.codes.recipe import UNKNOWN_KEY
from ptgflow.diagnostics.codes.runtime import BAD_INPUT_LINE, EMPTY_PROMPT, FILE_PROBLEM
from ptgflow.diagnostics.suggest import hint
from ptgflow.errors import RunError
from ptgflow.train.files import json_lines, text_of

_REQUESTS: Final = ("prompt", "question", "serial", "request", "instruction")
"""Keys and columns that hold a request, in the order in which they are looked for; and the first of `turns`."""
_IDS: Final = ("id", "question_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One input for all that are compared."""

    id: str
    words: str
    kind: str | None = None
    """`Prompt`, `Text` or `Canvas`; None: a line of plain text, which is what the recipes start from."""
    category: str = ""
    references: tuple[str, ...] = ()
    """What people made of it."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A request with all that its file says of it."""

    case: Case
    facts: Mapping[str, str]


def read_cases(spec: BenchSpec) -> list[Case]:
    """The requests that a comparison is about, in the order of their files.

    JSON Lines and JSON: what `prompt`, `question`, `serial`, `request` or `instruction` says, the first of `turns`,
    or `text` or `canvas`. CSV: a column of one of these names. Any other file: a request a line.

    Raises:
        RunError: FILE_PROBLEM, BAD_INPUT_LINE, UNKNOWN_KEY, or EMPTY_PROMPT where nothing is left.
    """
    rows = [row for name in spec.data for row in _read(Path(name))]
    if not rows:
        raise RunError([EMPTY_PROMPT(what=f"the data in {', '.join(spec.data)}", help="give a file with requests")])
    if spec.labels is not None:
        rows = _labelled(rows, Path(spec.labels))
    if spec.references:
        rows = _with_references(rows, [Path(name) for name in spec.references])
    kept = [row.case for row in rows if _is_wanted(row, spec)]
    if not kept:
        _check_keys(rows, spec)
        wanted = ", ".join([f"{key}={value}" for key, value in spec.where.items()] + list(spec.ids))
        what = f"what {', '.join(spec.data)} has of {wanted}"
        raise RunError([EMPTY_PROMPT(what=what, help="ask for values that the file has, or leave where= and ids= out")])
    return _numbered(kept[: spec.limit])


def _numbered(cases: Sequence[Case]) -> list[Case]:
    """Cases whose ids differ: those of several files may not."""
    seen: dict[str, int] = {}
    found: list[Case] = []
    for case in cases:
        count = seen[case.id] = seen.get(case.id, 0) + 1
        name = case.id if count == 1 else f"{case.id}#{count}"
        found.append(replace(case, id=name))
    return found


def _is_wanted(row: _Row, spec: BenchSpec) -> bool:
    named = not spec.ids or row.case.id in spec.ids
    return named and all(row.facts.get(key) == value for key, value in spec.where.items())


def _check_keys(rows: Sequence[_Row], spec: BenchSpec) -> None:
    known = sorted({key for row in rows for key in row.facts})
    unknown = [key for key in spec.where if key not in known]
    if unknown:
        owner = f"the data in {', '.join(spec.data)}"
        text = hint(unknown[0], known, write=f"where={{{{{{}}: {spec.where[unknown[0]]}}}}}")
        raise RunError([UNKNOWN_KEY(owner=owner, name=unknown[0], hint=text)])


def _read(path: Path) -> Iterator[_Row]:
    text = text_of(path).removeprefix("\ufeff")
    for number, (entry, (kind, words)) in enumerate(_READERS.get(path.suffix, _lines)(path, text), start=1):
        key = next((entry[name] for name in _IDS if name in entry), number)
        case = Case(id=str(key), words=words, kind=kind, category=str(entry.get("category", "")))
        yield _Row(case, {str(name): _plain(value) for name, value in entry.items()})


_Found = tuple[Mapping[str, Any], tuple[str | None, str]]
"""All that a file says of a request, the kind of the request, and its words."""


def _found(entry: Any) -> _Found:
    """A request out of a JSON object.

    Raises:
        ValueError: it is none; the text says why.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"it is a JSON {type(entry).__name__}, not an object")
    turns, more = entry.get("turns"), entry.get("input")
    words = next((entry[key] for key in _REQUESTS if entry.get(key)), None)
    if words is None and isinstance(turns, list) and turns:
        words = turns[0]
    if words is not None:
        if isinstance(words, str) and isinstance(more, str) and "instruction" in entry and more.strip():
            words = f"{words}\n\n{more}"
        return entry, ("Prompt", _text(words))
    for key, kind in (("text", "Text"), ("canvas", "Canvas")):
        if entry.get(key):
            return entry, (kind, _text(entry[key]))
    raise ValueError(f"it has none of {', '.join(_REQUESTS)}, turns, text and canvas")


def _text(words: object) -> str:
    if not isinstance(words, str):
        raise ValueError(f"its request is a JSON {type(words).__name__}, not a string")
    if not words.strip():
        raise ValueError("its request is empty")
    return words.strip()


def _json_lines(path: Path, text: str) -> Iterator[_Found]:
    return json_lines(path, text, _found)


def _json_list(path: Path, text: str) -> Iterator[_Found]:
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise RunError([FILE_PROBLEM(action="read", file=str(path), reason=f"it is no JSON ({error})")]) from error
    if not isinstance(entries, list):
        reason = f"it is a JSON {type(entries).__name__}, not a list of requests"
        raise RunError([FILE_PROBLEM(action="read", file=str(path), reason=reason)])
    for number, entry in enumerate(entries, start=1):
        try:
            yield _found(entry)
        except ValueError as error:
            reason = f"entry {number}: {error}"
            raise RunError([FILE_PROBLEM(action="read", file=str(path), reason=reason)]) from error


def _csv(path: Path, text: str) -> Iterator[_Found]:
    for number, entry in enumerate(_table(path, text), start=2):
        try:
            yield _found(entry)
        except ValueError as error:
            raise RunError([BAD_INPUT_LINE(line=number, file=str(path), reason=error)]) from error


def _lines(path: Path, text: str) -> Iterator[_Found]:
    del path
    yield from (({}, (None, line.strip())) for line in text.splitlines() if line.strip())


_READERS: Final = {".jsonl": _json_lines, ".json": _json_list, ".csv": _csv}


def _table(path: Path, text: str) -> list[dict[str, str]]:
    """A CSV file with a head, whose columns are parted by commas, semicolons or tabs."""
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    try:
        return [dict(row) for row in csv.DictReader(text.splitlines(keepends=True), delimiter=mark, strict=True)]
    except csv.Error as error:
        raise RunError([FILE_PROBLEM(action="read", file=str(path), reason=error)]) from error


def _labelled(rows: Sequence[_Row], path: Path) -> list[_Row]:
    """Rows with what a table says of the same words."""
    table = _table(path, text_of(path))
    column = next((key for key in (*_REQUESTS, "text") if table and key in table[0]), None)
    if column is None:
        reason = f"it has no column {', '.join(_REQUESTS)} or text"
        raise RunError([FILE_PROBLEM(action="read", file=str(path), reason=reason)])
    said = {(entry[column] or "").strip(): entry for entry in table}
    if not any(row.case.words in said for row in rows):
        reason = f"its column {column!r} holds none of the requests"
        raise RunError([FILE_PROBLEM(action="use", file=str(path), reason=reason)])
    return [
        _Row(row.case, {**row.facts, **{key: _plain(one) for key, one in said.get(row.case.words, {}).items()}})
        for row in rows
    ]


def _with_references(rows: Sequence[_Row], paths: Sequence[Path]) -> list[_Row]:
    columns = [text_of(path).splitlines() for path in paths]
    for path, column in zip(paths, columns, strict=True):
        if len(column) != len(rows):
            reason = f"it has {len(column)} lines, and the data has {len(rows)} texts"
            raise RunError([FILE_PROBLEM(action="use", file=str(path), reason=reason)])
    return [
        _Row(replace(row.case, references=tuple(line.strip() for line in several)), row.facts)
        for row, several in zip(rows, zip(*columns, strict=True), strict=True)
    ]


def _plain(value: object) -> str:
    """As `where=` is compared with it."""
    return value if isinstance(value, str) else json.dumps(value)
