"""The arguments after a command: Hydra's overrides, parsed one by one so that every mistake is told at once."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, Transformer
from hydra.errors import HydraException

from ptgflow.diagnostics import Location, Report
from ptgflow.diagnostics.codes import recipe as codes

REQUESTS = ("prompt", "text", "canvas")
FREE_TEXT = (*REQUESTS, "input", "output", "trace", "model.source")
"""Options whose value is taken as it was typed: a request has commas, question marks and parentheses in it, which mean
something else in Hydra's grammar. A value in quotes, or in `choice(...)` for a sweep, is still read by Hydra; and
`output=results_${seed}.jsonl` still names a variable, which a request never does."""

_BEFORE_QUOTE = re.compile(r"(\\*)'")


@dataclass(frozen=True, slots=True)
class Given:
    """One override as it was typed, and what Hydra reads in it."""

    typed: str
    parsed: Override

    @property
    def for_hydra(self) -> str:
        """The override with free text quoted, as Hydra is given it."""
        return str(self.parsed.input_line)

    @property
    def key(self) -> str:
        """`stages.write.k`, or `stage@stages.write` for a choice of a method."""
        key: str = self.parsed.get_key_element().lstrip("+~")
        return key.split("=", 1)[0]

    @property
    def value(self) -> str:
        return self.typed.split("=", 1)[1] if "=" in self.typed else ""

    @property
    def location(self) -> Location:
        return Location(source="command line", place=self.typed)


def parse(typed: Sequence[str], report: Report) -> tuple[Given, ...]:
    """Read the overrides; one that cannot be read is reported and left out."""
    parser = OverridesParser.create()
    found: list[Given] = []
    for one in typed:
        at = Location(source="command line", place=one)
        try:
            found.append(Given(one, parser.parse_override(_literal(one))))
        except HydraException as error:
            report.add(codes.BAD_OVERRIDE(at, override=one, reason=_reason(error), hint=_hint(one)))
    return tuple(found)


def sweep(given: Sequence[Given]) -> Iterator[tuple[str, ...]]:
    """Every combination of a multirun: `temperature=0,0.7 seed=1,2` gives four.

    Overrides without several values are the same in each. The last override changes fastest.
    """
    axes = [_values(one) if one.parsed.is_sweep_override() else [one.for_hydra] for one in given]
    yield from itertools.product(*axes)


def _values(one: Given) -> list[str]:
    """One override for each value of a sweep, free text quoted as it would be had it been typed alone."""
    key = one.parsed.get_key_element()
    if one.key not in FREE_TEXT:
        return [f"{key}={value}" for value in one.parsed.sweep_string_iterator()]
    values = one.parsed.sweep_iterator(transformer=Transformer.identity)
    return [_quoted(key, value.text if isinstance(value, QuotedString) else str(value)) for value in values]


def is_sweep(given: Sequence[Given]) -> tuple[Given, ...]:
    """The overrides that have several values, which only `-m` may run."""
    return tuple(one for one in given if one.parsed.is_sweep_override())


def _literal(typed: str) -> str:
    """A free-text override with its value quoted for Hydra; any other as it is."""
    key, equals, value = typed.partition("=")
    if key not in FREE_TEXT or not equals or value.startswith(("'", '"', "choice(")) or value in ("", "null"):
        return typed
    # Hydra reads a backslash as an escape only in front of a quote and at the end, so only there it is doubled.
    return _quoted(key, value)


def _quoted(key: str, value: str) -> str:
    if key in REQUESTS:
        value = value.replace("${", "\\${")  # OmegaConf would look for a variable of that name.
    # Hydra reads a backslash as an escape only in front of a quote and at the end, so only there it is doubled.
    stem = value.rstrip("\\")
    body = _BEFORE_QUOTE.sub(lambda found: found[1] * 2 + "\\'", stem)
    end = "\\" * 2 * (len(value) - len(stem))
    return f"{key}='{body}{end}'"


def _reason(error: HydraException) -> str:
    return str(error).splitlines()[0]


def _hint(typed: str) -> str:
    if "=" not in typed:
        return f"write  {typed}=VALUE" if typed.replace(".", "").isidentifier() else "an override is  key=value"
    key, value = typed.split("=", 1)
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"quote the value for the shell and for Hydra:  \"{key}='{quoted}'\""
