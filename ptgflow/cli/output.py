"""Where things are said: text and data to stdout, everything else to stderr."""

import json
import sys
from collections.abc import Iterable

from ptgflow.cli.arguments import UsageError
from ptgflow.diagnostics import Diagnostic, Severity

_COLOURS = {Severity.ERROR: "\033[1;31m", Severity.WARNING: "\033[1;33m", Severity.NOTE: "\033[1;36m"}
_PLAIN = "\033[0m"


def say(text: str) -> None:
    """One message to stderr."""
    print(text, file=sys.stderr, flush=True)


def show(findings: Iterable[Diagnostic]) -> None:
    """Diagnostics to stderr, with an empty line between two; coloured on a terminal."""
    colour = sys.stderr.isatty()
    blocks = [_coloured(one) if colour else str(one) for one in findings]
    if blocks:
        say("\n\n".join(blocks))


def _coloured(one: Diagnostic) -> str:
    first, *rest = str(one).splitlines()
    mark, _, fact = first.partition(": ")
    return "\n".join([f"{_COLOURS[one.severity]}{mark}{_PLAIN}: {fact}", *rest])


def print_json(data: object) -> None:
    """Data to stdout."""
    print(json.dumps(data, indent=2, ensure_ascii=False))


def only(given: str, *allowed: str) -> None:
    """Refuse a `format` that a command does not have.

    Raises:
        UsageError: with those that it has.
    """
    if given not in allowed:
        choices = "  or  ".join(f"format={name}" for name in allowed)
        raise UsageError(f"there is no format={given} here\n   help: write  {choices}")


def table(rows: Iterable[tuple[str, ...]], *, indent: int = 2) -> str:
    """Columns as wide as their longest cell; the last one is not padded."""
    kept = list(rows)
    if not kept:
        return ""
    widths = [max(len(row[column]) for row in kept) for column in range(len(kept[0]))]
    lines = []
    for row in kept:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append(" " * indent + "  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)
