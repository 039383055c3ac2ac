"""Recipe files: where they are, what they say, and on which line."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from ptgflow.diagnostics import Location, Report
from ptgflow.diagnostics.codes import recipe as codes
from ptgflow.diagnostics.suggest import hint

SHIPPED = Path(str(files("ptgflow.recipes")))
"""The folder of the groups that ship with ptgflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFile:
    """One recipe as it was written."""

    name: str
    path: Path
    data: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict[str, int])
    """Line of each key, by its dotted name."""
    outside: bool = False
    """Given by path, so not in a folder that Hydra searches."""

    @property
    def shown(self) -> str:
        """How messages name the file: a shipped one by its place below `recipes/`."""
        if self.path.is_relative_to(SHIPPED):
            return f"recipes/{self.path.relative_to(SHIPPED).as_posix()}"
        return str(self.path)

    def locate(self, place: str) -> Location | None:
        """Where a dotted key stands; the nearest enclosing key that does; None when the file says nothing of it."""
        parts = place.split(".")
        for end in range(len(parts), 0, -1):
            key = ".".join(parts[:end])
            if key in self.lines:
                return Location(source=self.shown, line=self.lines[key], place=place)
        return None


def looks_like_path(value: str) -> bool:
    """Whether `recipe=VALUE` names a file and not a recipe."""
    return value.endswith((".yaml", ".yml")) or "/" in value or "\\" in value


def shipped_choices(group: str, config_dir: Path | None = None) -> list[str]:
    """The names in a configuration group, those of `config_dir` included."""
    folders = [folder for folder in (config_dir, SHIPPED) if folder is not None]
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


def find_recipe(value: str, config_dir: Path | None, report: Report) -> RecipeFile | None:
    """The recipe that `recipe=VALUE` means; None, and a finding, when there is none that can be read."""
    if looks_like_path(value):
        return read_recipe(Path(value), report, outside=True)
    for folder in (config_dir, SHIPPED):
        path = folder / "recipe" / f"{value}.yaml" if folder is not None else None
        if path is not None and path.is_file():
            if folder is not SHIPPED and (SHIPPED / "recipe" / path.name).exists():
                report.add(codes.SHADOWED(Location(source="command line", place="--config-dir"), name=value, used=path))
            return read_recipe(path, report)
    choices = shipped_choices("recipe", config_dir)
    at = Location(source="command line", place=f"recipe={value}")
    report.add(codes.UNKNOWN_RECIPE(at, name=value, hint=hint(value, choices, write="recipe={}")))
    return None


def read_recipe(path: Path, report: Report, *, outside: bool = False) -> RecipeFile | None:
    """Read one file; None, and a finding, when it is missing, malformed, or names code."""
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        report.add(codes.MALFORMED_FILE(Location(source=str(path)), file=str(path), reason=error.strerror or error))
        return None
    except UnicodeDecodeError:
        report.add(codes.MALFORMED_FILE(Location(source=str(path)), file=str(path), reason="it is not UTF-8 text"))
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        reason = f"{error.problem or error.context}"
        report.add(codes.MALFORMED_FILE(Location(source=str(path), line=line), file=str(path), reason=reason))
        return None
    except yaml.YAMLError as error:
        report.add(codes.MALFORMED_FILE(Location(source=str(path)), file=str(path), reason=str(error).splitlines()[0]))
        return None
    if not isinstance(data, dict) or not isinstance(root, yaml.MappingNode):
        what = "it is empty" if data is None else f"it is a {type(data).__name__}, not a mapping"
        report.add(codes.MALFORMED_FILE(Location(source=str(path), line=1), file=str(path), reason=what))
        return None
    found = RecipeFile(name=path.stem, path=path, data=data, lines=dict(_lines(root)), outside=outside)
    return found if _holds_no_code(found, report) and _has_shape(found, report) else None


def _lines(node: yaml.MappingNode, prefix: str = "") -> Iterator[tuple[str, int]]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        yield name, key.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            yield from _lines(value, f"{name}.")
        elif isinstance(value, yaml.SequenceNode):
            for index, item in enumerate(value.value):
                yield f"{name}[{index}]", item.start_mark.line + 1


def _holds_no_code(found: RecipeFile, report: Report) -> bool:
    """A key such as `_target_` would be code for Hydra's `instantiate`; ptgflow calls nothing by name, and says so."""
    bad = [key for key in found.lines if key.rsplit(".", 1)[-1] in ("_target_", "_partial_", "_convert_", "_args_")]
    for key in bad:
        report.add(codes.CODE_IN_RECIPE(found.locate(key), key=key))
    return not bad


def _has_shape(found: RecipeFile, report: Report) -> bool:
    """Whether the parts that Hydra merges are mappings and lists; it would stop at one that is not."""
    wrong = [
        (key, kind)
        for key, kind in (("defaults", list), ("stages", dict), ("compile", dict))
        if not isinstance(found.data.get(key, kind()), kind)
    ]
    for key, kind in wrong:
        reason = f"it must be a {'list' if kind is list else 'mapping'}, not a {type(found.data[key]).__name__}"
        text = "- /stage@stages.SLOT: PARADIGM/METHOD" if kind is list else f"{key}: {{NAME: ...}}"
        value = found.data[key]
        report.add(codes.INVALID_VALUE(found.locate(key), name=key, value=value, reason=reason, hint=f"write  {text}"))
    return not wrong
