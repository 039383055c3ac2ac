"""From the command line to a recipe that is ready to compile, with everything that is wrong with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import DictConfig
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from ptgflow.compiler.source import Source
from ptgflow.diagnostics import Location, Report
from ptgflow.diagnostics.codes import recipe as codes
from ptgflow.diagnostics.suggest import hint
from ptgflow.diagnostics.validation import reason_of
from ptgflow.recipe.cards import card_facts
from ptgflow.recipe.choices import report_missing_choice
from ptgflow.recipe.compose import as_dict, compose_config
from ptgflow.recipe.overrides import Given, parse
from ptgflow.recipe.recipe_file import SHIPPED, RecipeFile, find_recipe
from ptgflow.recipe.schema import RecipeSpec
from ptgflow.recipe.to_flow import to_flow

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A recipe with its overrides applied."""

    name: str
    spec: RecipeSpec
    source: Source | None
    """What to compile; None when there is no flow to speak of."""


def load(typed: Sequence[str], *, config_dir: Path | None = None, report: Report) -> Loaded | None:
    """Read overrides, find the recipe, compose, validate. None when the report holds what prevents it.

    Args:
        typed: Hydra overrides, `recipe=NAME` or `recipe=FILE.yaml` among them.
        config_dir: a folder with a person's own groups, searched before the shipped ones.
        report: takes every finding.
    """
    found = composed(typed, config_dir=config_dir, report=report)
    if not any(one.key == "recipe" for one in found.given):
        report.add(codes.NO_RECIPE(Location(source="command line")))
    data = as_dict(found.config, report) if found.config is not None else None
    if data is None:
        return None
    locate = locator(found.given, found.recipe)
    spec = validated(RecipeSpec, data, locate, report)
    if spec is None or found.recipe is None:
        return None
    source = _source(found.recipe.name, spec, found.broken, locate, report)
    return Loaded(name=found.recipe.name, spec=spec, source=source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A command line after Hydra, not yet validated."""

    given: tuple[Given, ...]
    recipe: RecipeFile | None
    """None when none was chosen, or none could be read."""
    broken: tuple[str, ...]
    """Slots whose entry in the defaults list names nothing."""
    config: DictConfig | None
    """With Hydra's own part; None when it cannot be composed."""


def composed(typed: Sequence[str], *, config_dir: Path | None, report: Report) -> Composed:
    """Read overrides, find the recipe and compose: all that `--cfg` shows."""
    given = parse(typed, report)
    chosen = [one for one in given if one.key == "recipe"]
    recipe = find_recipe(str(chosen[-1].parsed.value()), config_dir, report) if chosen else None
    broken: tuple[str, ...] = ()
    if recipe is not None:
        recipe, broken = _without_bad_defaults(recipe, config_dir, report)
    config = compose_config(recipe, with_custom_card(given), config_dir, report)
    return Composed(given=given, recipe=recipe, broken=broken, config=config)


def _source(
    name: str, spec: RecipeSpec, broken: tuple[str, ...], locate: Callable[[str], Location], report: Report
) -> Source | None:
    flow = to_flow(spec.flow, spec.stages, broken=broken, locate=locate, report=report)
    if flow is None:
        return None
    return Source(
        flow=flow,
        card=card_facts(spec.model),
        name=name,
        guarantee=spec.guarantee,
        pairs=spec.compile.pairs,
        accelerate=spec.accelerate,
        temperature=spec.temperature,
        locate=locate,
    )


def locator(given: Sequence[Given], recipe: RecipeFile | None) -> Callable[[str], Location]:
    """Where a dotted key was written: the last override that sets it, else the recipe file."""

    def locate(place: str) -> Location:
        for one in reversed(given):
            key = one.key.split("@", 1)[-1]
            if place == key or place.startswith(f"{key}."):
                return one.location
        found = recipe.locate(place) if recipe is not None else None
        return found or Location(source=recipe.shown if recipe else "configuration", place=place)

    return locate


def with_custom_card(given: Sequence[Given]) -> list[Given]:
    """`model.source=...` without `model=...` starts from the card `custom`, not from facts about another model."""
    keys = {one.key for one in given}
    if "model.source" in keys and "model" not in keys:
        return [*parse(["model=custom"], Report()), *given]
    return list(given)


def _without_bad_defaults(
    recipe: RecipeFile, config_dir: Path | None, report: Report
) -> tuple[RecipeFile, tuple[str, ...]]:
    """The recipe without entries of its defaults list that name nothing, and the slots that those would have filled."""
    listed = recipe.data.get("defaults", [])
    folders = [folder for folder in (config_dir, SHIPPED) if folder is not None]
    kept: list[object] = []
    broken: list[str] = []
    for entry in listed if isinstance(listed, list) else []:
        pairs = list(entry.items()) if isinstance(entry, Mapping) else []
        missing = [
            (str(key), f"{str(key).split()[-1].lstrip('/').split('@', 1)[0]}/{value}")
            for key, value in pairs
            if isinstance(value, str) and "${" not in value
        ]
        missing = [(key, name) for key, name in missing if not any((f / f"{name}.yaml").is_file() for f in folders)]
        for key, name in missing:
            report_missing_choice(name, None, recipe, config_dir, report)
            broken += [key.split("@stages.", 1)[1]] if "@stages." in key else []
        if not missing:
            kept.append(entry)
    if not broken and len(kept) == len(listed):
        return recipe, ()
    return replace(recipe, data={**recipe.data, "defaults": kept}, outside=True), tuple(broken)


SpecT = TypeVar("SpecT", bound=BaseModel)


def validated(
    kind: type[SpecT], data: dict[str, Any], locate: Callable[[str], Location], report: Report
) -> SpecT | None:
    """A configuration as what it is to be. A part that does not validate is reported and left at its default."""
    while True:
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            before = repr(data)
            for problem in error.errors():
                path = tuple(str(step) for step in problem["loc"])
                _report_field(kind, path, problem, locate, report)
                _drop(data, path)
            if repr(data) == before or "model" not in data:
                return None


def _report_field(
    root: type[BaseModel],
    path: tuple[str, ...],
    problem: "ErrorDetails",
    locate: Callable[[str], Location],
    report: Report,
) -> None:
    kind, message, value = problem["type"], problem["msg"], problem["input"]
    name = ".".join(path)
    at = locate(name)
    owner = _model_at(root, path[:-1])
    if kind == "extra_forbidden":
        known = owner.model_fields if owner else {}
        prefix = ".".join(path[:-1])
        where = f"the configuration below {prefix!r}" if prefix else "a recipe"
        text = hint(path[-1], known, write=f"{prefix}.{{}}" if prefix else "{}")
        report.add(codes.UNKNOWN_KEY(at, owner=where, name=path[-1], hint=text))
        return
    shown = None if kind == "missing" else value
    reason = "it must be given" if kind == "missing" else reason_of(message)
    default = owner.model_fields[path[-1]].default if owner and path[-1] in owner.model_fields else None
    given = default is not None and default is not PydanticUndefined and default != value
    text = f"write  {name}={default}  , its default" if given else f"write  {name}=VALUE"
    report.add(codes.INVALID_VALUE(at, name=name, value=shown, reason=reason, hint=text))


def _model_at(root: type[BaseModel], path: tuple[str, ...]) -> type[BaseModel] | None:
    """The part of a schema that a path leads to."""
    model = root
    for step in path:
        field = model.model_fields.get(step)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return None
        model = field.annotation
    return model


def _drop(data: dict[str, Any], path: tuple[str, ...]) -> None:
    """Remove what a path leads to, or the nearest thing around it that can be removed."""
    node: Any = data
    for step in path[:-1]:
        if not isinstance(node, dict) or not isinstance(node.get(step), dict):
            data.pop(path[0], None)
            return
        node = node[step]
    if isinstance(node, dict) and path[-1] in node:
        del node[path[-1]]
    else:
        data.pop(path[0], None)
