"""Composition by Hydra: groups, the recipe's defaults list and the overrides become one configuration."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hydra import compose, version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ptgflow.diagnostics import Location, Report
from ptgflow.diagnostics.codes import recipe as codes
from ptgflow.diagnostics.suggest import hint
from ptgflow.recipe.choices import report_missing_choice
from ptgflow.recipe.overrides import Given
from ptgflow.recipe.recipe_file import RecipeFile

_NOT_IN_STRUCT = re.compile(r"Could not (?:override|append to|delete from) '?(?P<key>[^'\s]+)'?")
_STORED = "given_by_path"
"""The name under which Hydra finds a recipe that lies outside its search path."""


@contextmanager
def _search_path(config_dir: Path | None, recipe: RecipeFile | None) -> Iterator[None]:
    """Hydra set up on a recipe given by path, a person's own folder and the shipped groups, in this order.

    Hydra's own `--config-dir` comes after the shipped groups, and would silently use those where names are equal.
    """
    with ExitStack() as stack:
        folders = create_config_search_path("pkg://ptgflow.recipes")
        if config_dir is not None:
            folders.prepend("own", f"file://{config_dir.resolve()}", "main")
        if recipe is not None and recipe.outside:
            folders.prepend("by path", f"file://{stack.enter_context(_group_of_one(recipe))}", "main")
        GlobalHydra.instance().clear()
        version.setbase("1.3")
        Hydra.create_main_hydra2(task_name="ptgflow", config_search_path=folders)
        stack.callback(GlobalHydra.instance().clear)
        yield


@contextmanager
def _group_of_one(recipe: RecipeFile) -> Iterator[str]:
    """A folder in which Hydra finds the recipe as a choice of the group `recipe`."""
    with TemporaryDirectory(prefix="ptgflow-") as folder:
        group = Path(folder) / "recipe"
        group.mkdir()
        text = yaml.safe_dump(recipe.data, sort_keys=False)
        (group / f"{_STORED}.yaml").write_text(f"# @package _global_\n{text}", encoding="utf-8")
        yield folder


def compose_config(
    recipe: RecipeFile | None,
    given: Sequence[Given],
    config_dir: Path | None,
    report: Report,
    *,
    name: str = "config",
) -> DictConfig | None:
    """The composed configuration.

    Hydra stops at the first mistake. So that all are told at once, an override that it refuses is reported, left out,
    and the rest is composed again. None when what is left cannot be composed at all.
    """
    rest = [one for one in given if one.key not in ("recipe",)]
    choice = [] if recipe is None else [_choose(recipe)]
    with _search_path(config_dir, recipe):
        while True:
            try:
                typed = [*choice, *(one.for_hydra for one in rest)]
                found: DictConfig = compose(name, typed, return_hydra_config=True)
            except (HydraException, OmegaConfBaseException) as error:
                culprit = _culprit(error, rest)
                others = [one.for_hydra for one in rest if one is not culprit]
                _report(error, culprit, recipe, config_dir, report, name, others)
                if culprit is None:
                    return None
                rest.remove(culprit)
            else:
                return found


def _choose(recipe: RecipeFile) -> str:
    return f"recipe={_STORED if recipe.outside else recipe.name}"


def as_dict(config: DictConfig, report: Report) -> dict[str, Any] | None:
    """The configuration as plain data, interpolations resolved, Hydra's own part left out."""
    plain = OmegaConf.create(config)
    OmegaConf.set_struct(plain, False)
    plain.pop("hydra", None)
    try:
        data = OmegaConf.to_container(plain, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = str(error.full_key or "?")
        reason = str(error).splitlines()[0]
        at = Location(place=key)
        report.add(codes.INVALID_VALUE(at, name=key, value="...", reason=reason, hint=f"give it a value: {key}=..."))
        return None
    assert isinstance(data, dict), "the root of a configuration is a mapping"
    return {str(key): value for key, value in data.items()}


def _culprit(error: Exception, given: Sequence[Given]) -> Given | None:
    """The override that Hydra refused, if it was one."""
    text = f"{error} {error.__cause__ or ''}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        missing = error.missing_cfg_file
        for one in given:
            group = one.key.split("@", 1)[0]
            if f"{group}/{one.value}" == missing:
                return one
    match = _NOT_IN_STRUCT.search(text)
    wanted = match["key"] if match else ""
    for one in given:
        if one.key == wanted or f"'{one.key}'" in text or one.typed in text or one.for_hydra in text:
            return one
    return None


def _report(
    error: Exception,
    culprit: Given | None,
    recipe: RecipeFile | None,
    config_dir: Path | None,
    report: Report,
    name: str,
    others: Sequence[str],
) -> None:
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        at = culprit.location if culprit else None
        report_missing_choice(str(error.missing_cfg_file), at, recipe, config_dir, report)
        return
    reason = str(error.__cause__ or error).splitlines()[0]
    if culprit is None:
        at = Location(source=recipe.shown if recipe else "configuration")
        report.add(codes.MALFORMED_FILE(at, file=at.source, reason=reason))
        return
    owner, _, key = culprit.key.rpartition(".")
    if isinstance(error, ConfigCompositionException) and _NOT_IN_STRUCT.search(str(error)):
        known = _known_keys(owner, recipe, name, others) or _known_keys(owner, recipe, name, ())
        write = f"{owner}.{{}}" if owner else "{}"
        report.add(
            codes.UNKNOWN_KEY(
                culprit.location,
                owner=f"the configuration below {owner!r}" if owner else "the configuration",
                name=key,
                hint=hint(key, known, write=write),
            )
        )
        return
    report.add(codes.BAD_OVERRIDE(culprit.location, override=culprit.typed, reason=reason, hint="see  ptgflow --help"))


def _known_keys(owner: str, recipe: RecipeFile | None, name: str, given: Sequence[str]) -> list[str]:
    """The keys that exist below `owner` with some overrides; none where those cannot be composed."""
    try:
        config = compose(name, [*([] if recipe is None else [_choose(recipe)]), *given])
    except (HydraException, OmegaConfBaseException):
        return []
    node = OmegaConf.select(config, owner) if owner else config
    return [str(key) for key in node] if isinstance(node, DictConfig) else []
