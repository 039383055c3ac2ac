"""From a command line to compiled recipes that may be compared, with everything that is wrong with it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ptgflow.bench.entries import Entry, entries
from ptgflow.bench.spec import REFERENCE, TRANSFORMERS, BenchSpec
from ptgflow.compiler.driver import compile_source
from ptgflow.compiler.program import Program
from ptgflow.contracts.settings import Sampling
from ptgflow.diagnostics import Location, Report, Severity
from ptgflow.diagnostics.codes.methods import NOT_IMPLEMENTED
from ptgflow.diagnostics.codes.recipe import INVALID_VALUE, UNKNOWN_KEY
from ptgflow.diagnostics.suggest import hint
from ptgflow.recipe.cards import shipped_cards
from ptgflow.recipe.load import Loaded, load
from ptgflow.recipe.overrides import Given, parse
from ptgflow.recipe.schema import RecipeSpec
from ptgflow.stages.methods import method_table
from ptgflow.train.load import load_spec

_OF_ONE_RUN: Final = frozenset({"recipe", "prompt", "messages", "text", "canvas", "input", "trace", "report"})
"""Options of recipes that name one request, or what is told of it."""
_OF_ALL: Final = tuple(sorted({*BenchSpec.model_fields, *RecipeSpec.model_fields, "stage"} - _OF_ONE_RUN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A recipe, ready to be planned."""

    entry: Entry
    program: Program
    loaded: Loaded

    @property
    def starts(self) -> tuple[str, ...]:
        """The kinds of input that it can run on."""
        return tuple(kind.__name__ for kind in self.program.starts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineup:
    """What is compared."""

    spec: BenchSpec
    lanes: tuple[Lane, ...]
    with_transformers: bool
    baseline: str
    kind: str
    """What the recipes start from: `Prompt`, `Text` or `Canvas`."""
    typed: tuple[str, ...]

    @property
    def reference(self) -> str | None:
        """Whose answers others are compared with; None where texts are edited."""
        return REFERENCE if self.kind == "Prompt" else None


def load_bench(typed: Sequence[str], *, config_dir: Path | None, report: Report) -> Lineup | None:
    """Read overrides, compile every recipe, and see that they may be compared. None where the report has errors.

    Args:
        typed: options of the comparison, and overrides for all recipes.
        config_dir: a folder with groups of one's own.
        report: takes every finding.
    """
    given = parse(typed, report)
    own = [one for one in given if one.key in BenchSpec.model_fields]
    common = [one for one in given if one.key not in BenchSpec.model_fields]
    _check_names(common, report)
    typed_own = [one.typed for one in own]
    spec, _ = load_spec(BenchSpec, "bench", typed_own, config_dir=config_dir, report=report)
    if spec is None or report.errors:
        return None
    listed = entries(spec.recipes, report)
    lanes = [_lane(one, common, config_dir, report) for one in listed if not one.is_transformers]
    ready = [lane for lane in lanes if lane is not None]
    if report.errors or len(ready) < len(lanes):
        return None
    kind = _kind(ready, report)
    if kind == "Prompt" and all(lane.entry.label != REFERENCE for lane in ready):
        plain = _lane(Entry(label=REFERENCE, recipe=REFERENCE), _without_stages(common), config_dir, report)
        ready = [*([plain] if plain is not None else []), *ready]
    if report.errors:
        return None
    with_transformers = spec.baseline == TRANSFORMERS or any(one.is_transformers for one in listed)
    _check_alike(ready, report)
    if with_transformers:
        _check_transformers(ready, kind, report)
    baseline = _baseline(spec, ready, with_transformers, report)
    if report.errors:
        return None
    return Lineup(
        spec=spec,
        lanes=tuple(ready),
        with_transformers=with_transformers,
        baseline=baseline,
        kind=kind,
        typed=tuple(typed),
    )


def _check_names(given: Sequence[Given], report: Report) -> None:
    """A mistyped option of the comparison is no option of a recipe either."""
    for one in given:
        name = re.split(r"[.@]", one.key)[0]
        if name not in _OF_ALL:
            text = hint(name, _OF_ALL, write="{}=...")
            if name in _OF_ONE_RUN:
                text = "write  recipes=[...]" if name == "recipe" else "write  data=FILE"
            report.add(UNKNOWN_KEY(one.location, owner="ptgflow bench", name=name, hint=text))


def _without_stages(given: Sequence[Given]) -> list[Given]:
    """What goes for the reference too, whose stages are not those of the recipes."""
    return [one for one in given if re.split(r"[.@]", one.key)[0] not in ("stage", "stages", "flow", "guarantee")]


def _lane(entry: Entry, common: Sequence[Given], config_dir: Path | None, report: Report) -> Lane | None:
    typed = (f"recipe={entry.recipe}", *(one.typed for one in common), *entry.overrides)
    found = Report()
    loaded = load(typed, config_dir=config_dir, report=found)
    program = None
    if loaded is not None and loaded.source is not None:
        cards = shipped_cards(config_dir)
        program = compile_source(loaded.source, methods=method_table(), cards=cards, report=found)
    missing = [replace(one, severity=Severity.ERROR) for one in found if one.rule is NOT_IMPLEMENTED]
    others = [one for one in found if one.rule is not NOT_IMPLEMENTED]
    report.add(*(replace(one, notes=(*one.notes, f"in {entry.label!r}")) for one in [*missing, *others]))
    if program is None or loaded is None or missing or not found.ok:
        return None
    return Lane(entry=entry, program=program, loaded=loaded)


def _kind(lanes: Sequence[Lane], report: Report) -> str:
    """What all of them start from; a prompt where some take other things too."""
    shared = [kind for kind in ("Prompt", "Text", "Canvas") if all(kind in lane.starts for lane in lanes)]
    if not shared:
        words = "; ".join(f"{lane.entry.label!r} from {' or '.join(lane.starts)}" for lane in lanes)
        names = ", ".join(lane.entry.label for lane in lanes)
        reason = f"they start from different things: {words}"
        remedy = "compare recipes for prompts with each other, and editors of texts with each other"
        report.add(INVALID_VALUE(_at("recipes="), name="recipes", value=names, reason=reason, hint=remedy))
    return shared[0] if shared else "Prompt"


def _check_alike(lanes: Sequence[Lane], report: Report) -> None:
    """One model and one set of options for all: else a ratio would say something of these."""
    first = lanes[0]
    for lane in lanes[1:]:
        one, other = first.loaded.spec, lane.loaded.spec
        differing = [
            name
            for name in ("model", "chat", "stop", "max_tokens", *Sampling.model_fields)
            if getattr(one, name) != getattr(other, name)
        ]
        for name in differing:
            here, there = getattr(one, name), getattr(other, name)
            shown = (one.model.name, other.model.name) if name == "model" and here.name != there.name else (here, there)
            reason = f"{name} is {shown[1]!r} there, and {shown[0]!r} in {first.entry.label!r}"
            if name == "model":
                reason = reason if here.name != there.name else f"the card of model {here.name!r} is changed there"
            remedy = f"set it for all:  ptgflow bench {name}=... recipes=[...]"
            label = lane.entry.label
            report.add(INVALID_VALUE(_at("recipes="), name="recipes", value=label, reason=reason, hint=remedy))


def _check_transformers(lanes: Sequence[Lane], kind: str, report: Report) -> None:
    """It stands for the greedy answer to a prompt, and for nothing else."""
    if kind != "Prompt":
        reason = f"it answers prompts, and the recipes start from a {kind}"
        remedy = "choose one of the recipes"
        report.add(INVALID_VALUE(_at(), name="baseline", value=TRANSFORMERS, reason=reason, hint=remedy))
        return
    spec = lanes[0].loaded.spec
    plain = Sampling(seed=spec.seed, logprobs=spec.logprobs).model_dump()
    sampling = spec.generation.sampling.model_dump()
    changed = [name for name, value in sampling.items() if value != plain[name]] + (["stop"] if spec.stop else [])
    if changed:
        reason = f"it decodes greedily, and {changed[0]}={getattr(spec, changed[0])} was given"
        remedy = f"leave {changed[0]}= out, or choose another baseline"
        report.add(INVALID_VALUE(_at(), name="baseline", value=TRANSFORMERS, reason=reason, hint=remedy))


def _baseline(spec: BenchSpec, lanes: Sequence[Lane], with_transformers: bool, report: Report) -> str:
    labels = [lane.entry.label for lane in lanes] + ([TRANSFORMERS] if with_transformers else [])
    if spec.baseline is None:
        return REFERENCE if REFERENCE in labels else labels[0]
    if spec.baseline not in labels:
        reason = "it is none of what is compared"
        text = hint(spec.baseline, {*labels, TRANSFORMERS}, write="baseline='{}'")
        report.add(INVALID_VALUE(_at(), name="baseline", value=spec.baseline, reason=reason, hint=text))
    return spec.baseline


def _at(place: str = "baseline=") -> Location:
    return Location(source="command line", place=place)
