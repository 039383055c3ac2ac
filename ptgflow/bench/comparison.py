"""A whole comparison: models loaded once, everybody taking turns, every finished case judged and kept."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Final, final

from ptgflow.api import Plan
from ptgflow.bench.cases import Case
from ptgflow.bench.contenders import Contender, RecipeContender, TransformersContender
from ptgflow.bench.judging import Judge, Judged
from ptgflow.bench.keeping import Keeper
from ptgflow.bench.load import Lineup
from ptgflow.bench.machine import machine_of
from ptgflow.bench.race import Tell, race
from ptgflow.bench.spec import TRANSFORMERS
from ptgflow.bench.summary import Row, summary
from ptgflow.diagnostics.codes.runtime import WRONG_INPUT_KIND
from ptgflow.engine.models.model import LoadedModel, Models
from ptgflow.engine.models.progress import Progress
from ptgflow.errors import RunError
from ptgflow.executors.request import OPTIONS

FORMAT: Final = 1
"""Of the JSON file; another number where its fields mean something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a comparison was made with."""

    model: str
    dtype: str
    transformers_dtype: str | None
    """None where it took no part."""
    max_tokens: int
    temperature: float
    repeats: int
    cases: int
    baseline: str
    reference: str | None
    machine: str


@final
class Comparison:
    """Loaded, and ready to run."""

    def __init__(
        self,
        lineup: Lineup,
        cases: Sequence[Case],
        *,
        chrf: Callable[[str, str], float] | None,
        warn: Callable[[str], None],
        progress: Progress | None = None,
    ) -> None:
        """Load every model, each once.

        Args:
            lineup: what is compared.
            cases: on what.
            chrf: scores a text against another; None: that measure is left out.
            warn: is told what recipes warn of.
            progress: is told what is loaded.

        Raises:
            RecipeError: a recipe needs an extra that is not installed.
            RunError: a model cannot be had, or a case is of a kind that the recipes do not start from.
        """
        _check_kinds(lineup, cases)
        self._lineup, self._cases, self._judged = lineup, cases, list[Judged]()
        models: Models = {}
        contenders: list[Contender] = []
        for lane in lineup.lanes:
            spec = lane.loaded.spec
            plan = Plan(
                lane.program, generation=spec.generation, executor=spec.executor, progress=progress, models=models
            )
            contenders.append(RecipeContender(lane.entry.label, plan, lineup.kind, warn))
            self._target: LoadedModel = plan.executor.target
        generation = lineup.lanes[0].loaded.spec.generation
        theirs = None
        if lineup.with_transformers:
            other = TransformersContender(TRANSFORMERS, self._target, generation)
            contenders.insert(0, other)
            theirs = other.model.dtype
        self._contenders = contenders
        self._judge = Judge(self._target, kind=lineup.kind, chat=generation.chat, reference=lineup.reference, chrf=chrf)
        self.setting = Setting(
            model=self._target.name,
            dtype=self._target.dtype,
            transformers_dtype=theirs,
            max_tokens=generation.max_tokens,
            temperature=generation.sampling.temperature,
            repeats=lineup.spec.repeats,
            cases=len(cases),
            baseline=lineup.baseline,
            reference=lineup.reference,
            machine=machine_of(self._target),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Everybody who takes part."""
        return tuple(one.label for one in self._contenders)

    @property
    def judged(self) -> tuple[Judged, ...]:
        """The finished cases."""
        return tuple(self._judged)

    @property
    def rows(self) -> list[Row]:
        """What the finished cases amount to."""
        return summary(self._judged, baseline=self._lineup.baseline)

    def run(self, keeper: Keeper | None, tell: Tell) -> Generator[Judged, None, None]:
        """Each case as it is finished; the file holds what is finished even where this is interrupted."""
        try:
            for heat in race(self._contenders, self._cases, repeats=self._lineup.spec.repeats, tell=tell):
                self._judged.append(self._judge(heat))
                if keeper is not None:
                    keeper.now_and_then(lambda: self.facts(summed=False))
                yield self._judged[-1]
        finally:
            if keeper is not None and self._judged:
                keeper.write(self.facts())

    def facts(self, *, summed: bool = True) -> dict[str, Any]:
        """Everything that was measured, as plain data; `summed` with what it amounts to, which takes a while."""
        lanes = self._lineup.lanes
        return {
            "format": FORMAT,
            "ptgflow": version("ptgflow"),
            "command": ["ptgflow", "bench", *self._lineup.typed],
            "finished": len(self._judged) == len(self._cases),
            "setting": asdict(self.setting),
            "recipes": {lane.entry.label: lane.program.as_dict() for lane in lanes},
            "summary": [asdict(row) for row in self.rows] if summed else [],
            "cases": [_plain(one) for one in self._judged],
        }


def _plain(judged: Judged) -> dict[str, Any]:
    sheets = {}
    for label, sheet in judged.sheets.items():
        sheets[label] = asdict(sheet)
        sheets[label]["points"] = [{"title": title, "text": text} for title, text in sheet.points]
        sheets[label]["stages"] = dict(sheet.stages)
    return {**asdict(judged.case), "answers": sheets}


def _check_kinds(lineup: Lineup, cases: Sequence[Case]) -> None:
    for case in cases:
        if case.kind not in (None, lineup.kind):
            finding = WRONG_INPUT_KIND(
                recipe=", ".join(lane.entry.label for lane in lineup.lanes),
                wanted=f"a {lineup.kind}",
                given=f"a {case.kind} (request {case.id!r})",
                want_option=OPTIONS[lineup.kind],
                given_option=OPTIONS[str(case.kind)],
            )
            raise RunError([finding])
