"""Group choices that do not exist: `stage@stages.write=mtp/medussa`, `model=smolm`, and the same in a defaults list."""

from pathlib import Path

from ptgflow.contracts import PARADIGMS, Paradigm
from ptgflow.diagnostics import Location, Report, Rule
from ptgflow.diagnostics.codes import recipe as codes
from ptgflow.diagnostics.suggest import hint
from ptgflow.recipe.recipe_file import RecipeFile, shipped_choices


def report_missing_choice(
    missing: str, at: Location | None, recipe: RecipeFile | None, config_dir: Path | None, report: Report
) -> None:
    """Tell that `missing` (`group/name`) does not exist, and what does.

    Args:
        missing: `stage/masked/lada`, `model/smolm`.
        at: the override that chose it; None: the recipe's own defaults list.
        recipe: where it was chosen, if not on the command line.
        config_dir: a person's own groups.
        report: takes the finding.
    """
    group, _, name = missing.rpartition("/")
    where = at or _in_defaults(missing, recipe)
    choices = shipped_choices(group, config_dir)
    if group.startswith("stage/"):
        paradigm = group.removeprefix("stage/")
        text = hint(name, choices, write=f"{paradigm}/{{}}") if choices else _paradigms(paradigm)
        report.add(codes.UNKNOWN_METHOD(where, paradigm=paradigm, name=name, hint=text))
    elif group == "stage":
        report.add(codes.UNKNOWN_METHOD(where, paradigm="a stage", name=name, hint=_paradigms(name)))
    else:
        rule: Rule = {"model": codes.UNKNOWN_MODEL, "recipe": codes.UNKNOWN_RECIPE}.get(group, codes.UNKNOWN_CHOICE)
        report.add(rule(where, group=group, name=name, hint=hint(name, choices, write=f"{group}={{}}")))


def _paradigms(name: str) -> str:
    return hint(name, [str(one) for one in PARADIGMS if one is not Paradigm.MERGE], write="{}/METHOD")


def _in_defaults(missing: str, recipe: RecipeFile | None) -> Location:
    if recipe is None:
        return Location(source="configuration", place="defaults")
    listed = recipe.data.get("defaults")
    for index, entry in enumerate(listed if isinstance(listed, list) else []):
        for key, value in entry.items() if isinstance(entry, dict) else []:
            if f"{str(key).lstrip('/').split('@', 1)[0]}/{value}" == missing:
                line = recipe.lines.get(f"defaults[{index}]")
                return Location(source=recipe.shown, line=line, place=f"defaults: {key}: {value}")
    return Location(source=recipe.shown, line=recipe.lines.get("defaults"), place="defaults")
