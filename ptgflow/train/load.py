"""From a command line to what is to be trained, with everything that is wrong with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

from omegaconf import DictConfig
from pydantic import BaseModel

from ptgflow.diagnostics import Report
from ptgflow.diagnostics.codes.recipe import INVALID_VALUE
from ptgflow.diagnostics.suggest import hint
from ptgflow.recipe.compose import as_dict, compose_config
from ptgflow.recipe.load import locator, validated, with_custom_card
from ptgflow.recipe.overrides import parse
from ptgflow.train.edit_spec import LevenshteinSpec
from ptgflow.train.spec import DistillSpec, LearningSpec, MdmSpec, OneShotSpec, SdttSpec, TrainSpec

SpecT = TypeVar("SpecT", bound=BaseModel)


OBJECTIVES: Final[dict[str, tuple[type[LearningSpec], str]]] = {
    "heads": (TrainSpec, "train"),
    "distill_draft": (DistillSpec, "distill_draft"),
    "mdm": (MdmSpec, "mdm"),
    "sdtt": (SdttSpec, "sdtt"),
    "oneshot": (OneShotSpec, "oneshot"),
    "levenshtein": (LevenshteinSpec, "levenshtein"),
}
"""What `objective=` may name: what it is told, and the configuration with its defaults."""


def load_train(
    typed: Sequence[str], *, config_dir: Path | None, report: Report
) -> tuple[LearningSpec | None, DictConfig | None]:
    """Compose the configuration of an objective with overrides, and validate it.

    None where the report holds what prevents it.
    """
    named = [one for one in parse(typed, Report()) if one.key == "objective"]
    objective = named[-1].value if named else "heads"
    if objective not in OBJECTIVES:
        reason = f"the objectives are {', '.join(OBJECTIVES)}"
        choices = hint(objective, OBJECTIVES, write="objective={}")
        report.add(INVALID_VALUE(named[-1].location, name="objective", value=objective, reason=reason, hint=choices))
        return None, None
    kind, name = OBJECTIVES[objective]
    return load_spec(kind, name, typed, config_dir=config_dir, report=report)


def load_spec(
    kind: type[SpecT], name: str, typed: Sequence[str], *, config_dir: Path | None, report: Report
) -> tuple[SpecT | None, DictConfig | None]:
    """Compose a configuration with overrides, and validate it. None where the report holds what prevents it.

    Args:
        kind: what it is to be.
        name: of the configuration.
        typed: the overrides.
        config_dir: a folder with groups of one's own.
        report: takes what is wrong.
    """
    given = parse(typed, report)
    # Hydra would look for a choice of the group `data`, which has the named prompts of `run`.
    files = [one for one in given if one.key == "data"]
    others = [one for one in given if one.key != "data"]
    config = compose_config(None, with_custom_card(others), config_dir, report, name=name)
    data = as_dict(config, report) if config is not None else None
    if data is None or config is None:
        return None, config
    if files:
        value = files[-1].parsed.value()
        data["data"] = config["data"] = value if isinstance(value, list) else [str(value)]
    return validated(kind, data, locator(given, None), report), config
