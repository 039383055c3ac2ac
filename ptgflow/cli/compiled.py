"""What commands share: from a command line to compiled recipes, or to the configuration of another kind of job."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel

from ptgflow.api import Plan
from ptgflow.cli.arguments import Arguments, UsageError
from ptgflow.cli.output import say, show
from ptgflow.compiler.driver import compile_source
from ptgflow.compiler.program import Program
from ptgflow.diagnostics import Report, Severity
from ptgflow.recipe.cards import shipped_cards
from ptgflow.recipe.load import Loaded, composed, load
from ptgflow.recipe.overrides import is_sweep, parse, sweep
from ptgflow.stages.methods import method_table

if TYPE_CHECKING:
    from ptgflow.engine.models.model import Models
    from ptgflow.engine.models.progress import Progress

SpecT = TypeVar("SpecT", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A recipe with everything that was found in it; `program` is None when it is rejected."""

    name: str
    report: Report
    loaded: Loaded | None
    program: Program | None


def jobs(arguments: Arguments) -> Iterator[tuple[str, ...]]:
    """The overrides of each job: one, or with `-m` one for every combination of a sweep.

    Raises:
        UsageError: an option has several values and `-m` is missing.
    """
    given = parse(arguments.overrides, Report())
    if len(given) < len(arguments.overrides):
        yield arguments.overrides  # What cannot be read is reported when the job is loaded.
        return
    several = is_sweep(given)
    if several and not arguments.multirun:
        one = several[0]
        raise UsageError(
            f"{one.key} has several values: {one.value}\n"
            f"   help: -m runs every combination; one value with commas in it is quoted:  \"{one.key}='{one.value}'\""
        )
    if not arguments.multirun:
        yield tuple(one.typed for one in given)
        return
    try:
        combinations = list(sweep(given))
    except HydraException as error:
        raise UsageError(
            f"cannot sweep: {error}\n   help: give the values as  key=a,b,c  or  key=range(1,4)"
        ) from error
    for index, combination in enumerate(combinations):
        changing = [words for words, one in zip(combination, given, strict=True) if one.parsed.is_sweep_override()]
        say(f"[{index + 1}/{len(combinations)}] {' '.join(changing)}")
        yield combination


def compiled(overrides: tuple[str, ...], arguments: Arguments) -> Compiled:
    """Load and compile one job; nothing heavy is imported."""
    report = Report()
    loaded = load(overrides, config_dir=arguments.config_dir, report=report)
    program = None
    if loaded is not None and loaded.source is not None:
        cards = shipped_cards(arguments.config_dir)
        program = compile_source(loaded.source, methods=method_table(), cards=cards, report=report)
    if not report.ok:
        program = None
    name = loaded.name if loaded is not None else "recipe"
    return Compiled(name=name, report=report, loaded=loaded, program=program)


def plan_of(job: Compiled, progress: "Progress | None" = None, models: "Models | None" = None) -> Plan:
    """The plan of a compiled job."""
    assert job.program is not None, "a rejected recipe has no plan"
    assert job.loaded is not None, "a program was loaded from something"
    spec = job.loaded.spec
    return Plan(job.program, generation=spec.generation, executor=spec.executor, progress=progress, models=models)


def print_config(arguments: Arguments) -> bool:
    """Print what `--cfg` asks for; False when it cannot be composed."""
    for overrides in jobs(arguments):
        report = Report()
        config = composed(overrides, config_dir=arguments.config_dir, report=report).config
        if config is None or not report.ok:
            say("\n\n".join(str(one) for one in report))
            return False
        print_plain_config(config, str(arguments.cfg))
    return True


def print_plain_config(config: DictConfig, which: str) -> None:
    """Print a composed configuration: the `job`, what is `hydra`'s own, or `all`."""
    OmegaConf.set_struct(config, False)
    hydra = config.pop("hydra")
    shown = {"job": config, "hydra": OmegaConf.create({"hydra": hydra})}.get(which)
    print(OmegaConf.to_yaml(shown if shown is not None else OmegaConf.merge({"hydra": hydra}, config)), end="")


def spec_or_code(load: Callable[[Report], tuple[SpecT | None, DictConfig | None]], arguments: Arguments) -> SpecT | int:
    """A validated configuration, or the code to leave with: 0 where `--cfg` asked to see it, 2 where it is wrong."""
    report = Report()
    spec, config = load(report)
    show(one for one in report if one.severity is Severity.ERROR)
    if arguments.cfg is not None and config is not None and report.ok:
        print_plain_config(config, arguments.cfg)
        return 0
    return 2 if spec is None or not report.ok else spec
