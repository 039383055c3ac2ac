"""What `recipes=[...]` lists: names or files of recipes, each with overrides of its own, several values among them."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra.errors import HydraException

from ptgflow.bench.spec import TRANSFORMERS
from ptgflow.diagnostics import Diagnostic, Location, Report
from ptgflow.diagnostics.codes.recipe import BAD_OVERRIDE, INVALID_VALUE
from ptgflow.recipe.overrides import is_sweep, parse, sweep

_EXAMPLE = "recipes=[ar,'mtp_edit stages.write.k=2']"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One recipe of a comparison."""

    label: str
    """Its name in tables: the recipe and its overrides, unless it was given another."""
    recipe: str
    overrides: tuple[str, ...] = ()

    @property
    def is_transformers(self) -> bool:
        """Whether it stands for transformers' own decoding."""
        return self.recipe == TRANSFORMERS


def entries(listed: Sequence[str | dict[str, str]], report: Report) -> list[Entry]:
    """All that a list stands for: an entry with several values of an option is one for each combination of them."""
    found: list[Entry] = []
    for one in listed:
        for name, words in one.items() if isinstance(one, dict) else [("", one)]:
            found += _expanded(name, words, report)
    labels = [one.label for one in found]
    for label in dict.fromkeys(label for label in labels if labels.count(label) > 1):
        reason = f"{label!r} stands there {labels.count(label)} times"
        report.add(_invalid(label, reason, "list it once, or give each a name:  {NAME: 'recipe option=value'}"))
    return found


def _expanded(name: str, words: str, report: Report) -> Iterator[Entry]:
    try:
        recipe, *typed = shlex.split(words) or [""]
    except ValueError as error:
        report.add(_invalid(words, f"its quotes do not match ({error})", f"write  {_EXAMPLE}"))
        return
    recipe = recipe.removeprefix("recipe=")
    if not recipe or "=" in recipe:
        report.add(_invalid(words, "it does not begin with a recipe", f"write  {_EXAMPLE}"))
        return
    if recipe == TRANSFORMERS and typed:
        reason = "transformers decodes greedily, and takes no options of a recipe"
        report.add(_invalid(words, reason, "write  recipes=[transformers,...]"))
        return
    given = parse(typed, report)
    if len(given) < len(typed):
        return  # The report says what cannot be read.
    axes = {one.key for one in is_sweep(given)}
    try:
        combinations = list(sweep(given))
    except HydraException as error:
        at = Location(source="command line", place=words)
        report.add(BAD_OVERRIDE(at, override=words, reason=str(error).splitlines()[0], hint="write  option=2,3,4"))
        return
    for combination in combinations:
        shown = [
            one.removeprefix("stage@").removeprefix("stages.")
            for one, given_one in zip(combination, given, strict=True)
            if not name or given_one.key in axes
        ]
        yield Entry(label=" ".join([name or recipe, *shown]), recipe=recipe, overrides=tuple(combination))


def _invalid(value: str, reason: str, hint: str) -> Diagnostic:
    at = Location(source="command line", place="recipes=")
    return INVALID_VALUE(at, name="recipes", value=value, reason=reason, hint=hint)
