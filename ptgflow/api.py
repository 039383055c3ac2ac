"""The public functions: they wire the layers together and hold no logic of their own. Imports no torch until a run."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from ptgflow.compiler.driver import compile_source
from ptgflow.compiler.program import Program
from ptgflow.compiler.source import Cards, Source
from ptgflow.contracts import Level, Message, ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.contracts.settings import Generation, Sampling
from ptgflow.diagnostics import Diagnostic, Report
from ptgflow.diagnostics.codes import recipe as codes
from ptgflow.diagnostics.suggest import hint
from ptgflow.diagnostics.validation import reason_of
from ptgflow.dsl import Flow
from ptgflow.errors import RecipeError
from ptgflow.planner.placement import Placement, place
from ptgflow.recipe.cards import card_facts, shipped_cards
from ptgflow.recipe.load import load
from ptgflow.recipe.recipe_file import looks_like_path
from ptgflow.recipe.schema import ExecutorOptions
from ptgflow.stages.methods import method_table

if TYPE_CHECKING:
    from ptgflow.engine.models.model import Models
    from ptgflow.engine.models.progress import Progress
    from ptgflow.executors.events import Event
    from ptgflow.executors.local import LocalExecutor
    from ptgflow.executors.request import Ask
    from ptgflow.executors.result import Result

DEFAULT_MODEL = "smollm2-135m"


class Plan:
    """A compiled flow, placed on workers and ready to run. Models are loaded at the first run, once."""

    def __init__(
        self,
        program: Program,
        *,
        generation: Generation | None = None,
        executor: ExecutorOptions | None = None,
        progress: "Progress | None" = None,
        models: "Models | None" = None,
    ) -> None:
        self.program = program
        self.generation = generation or Generation()
        self._options = executor or ExecutorOptions()
        self._progress = progress
        self._models = models

    @property
    def placement(self) -> Placement:
        """Which loop runs where, and what it needs at most."""
        return place(self.program, batch_size=self._options.batch_size, max_tokens=self.generation.max_tokens)

    @cached_property
    def executor(self) -> "LocalExecutor":
        """The executor with its models loaded.

        Raises:
            RecipeError: a method of the flow has no implementation yet, or its extra is not installed.
            RunError: a model cannot be had.
        """
        # Torch is imported here and not above, so that checking and planning answer at once.
        from ptgflow.executors.local import LocalExecutor, LocalOptions

        options = LocalOptions(
            batch_size=self._options.batch_size,
            threads=self._options.threads,
            kv_memory_mb=self._options.kv_memory_mb,
        )
        return LocalExecutor(self.program, options, progress=self._progress, models=self._models)

    def run(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] | None = None,
        text: str | None = None,
        canvas: str | None = None,
    ) -> "Result":
        """Answer one request. What goes wrong with it is in `Result.error`.

        Args:
            prompt: a request to answer.
            messages: a conversation to answer.
            text: a text to refine.
            canvas: a text with `[MASK]` holes to fill.
        """
        from ptgflow.executors.result import Result

        for happened in self.stream(prompt, messages=messages, text=text, canvas=canvas):
            if isinstance(happened, Result):
                return happened
        raise AssertionError("a request ends with a result")

    def stream(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] | None = None,
        text: str | None = None,
        canvas: str | None = None,
    ) -> "Iterator[Event | Result]":
        """Events as they happen, text as it settles, the result last."""
        from ptgflow.executors.request import Ask

        turns = tuple(messages) if messages is not None else None
        yield from self.run_many([Ask(id=0, prompt=prompt, messages=turns, text=text, canvas=canvas)])

    def run_many(self, asks: "Iterable[Ask]") -> "Iterator[Event | Result]":
        """Answer many requests; their rows share passes. Results come in the order in which requests end."""
        return self.executor.run(asks, self.generation)


def compile(
    flow: Flow,
    *,
    model: str | ModelCard = DEFAULT_MODEL,
    guarantee: Level = "none",
    pairs: Literal["path", "adjacent"] = "path",
    accelerate: Accelerate | None = None,
    executor: ExecutorOptions | None = None,
    **generation: Any,
) -> Plan:
    """Compile a flow, and place it.

    Args:
        flow: `Decompose() >> DraftVerify()`.
        model: the name of a card, a local folder, a `.gguf` file, a hub id, or a card.
        guarantee: demanded of the result; the flow is rejected when it does not hold.
        pairs: check every two stages on the path, or neighbours only.
        accelerate: accelerators that are demanded.
        executor: batch size and threads.
        generation: `temperature`, `top_p`, `top_k`, `min_p`, `repetition_penalty`, `presence_penalty`, `logit_bias`,
            `logprobs`, `seed`, `max_tokens`, `stop` and `chat`.

    Raises:
        RecipeError: with every finding, not only the first.
    """
    report, cards = Report(), shipped_cards()
    card = _card(model, cards, report)
    settings = _generation(generation, report)
    source = Source(
        flow=flow,
        card=card,
        guarantee=guarantee,
        pairs=pairs,
        accelerate=accelerate or Accelerate(),
        temperature=settings.sampling.temperature,
    )
    program = compile_source(source, methods=method_table(), cards=cards, report=report)
    if program is None:
        raise RecipeError(report.errors)
    return Plan(program, generation=settings, executor=executor)


def load_recipe(
    recipe: str,
    overrides: Sequence[str] = (),
    *,
    config_dir: Path | None = None,
    models: "Models | None" = None,
) -> Plan:
    """Compile a recipe by name or file, with Hydra overrides such as `stages.write.k=2`.

    Args:
        recipe: a name or a file.
        overrides: as on the command line.
        config_dir: a folder with groups of your own.
        models: loaded models, taken from here and added to: plans that share it load each model once.

    Raises:
        RecipeError: with every finding, not only the first.
    """
    report = Report()
    loaded = load([f"recipe={recipe}", *overrides], config_dir=config_dir, report=report)
    program = None
    if loaded is not None and loaded.source is not None:
        program = compile_source(loaded.source, methods=method_table(), cards=shipped_cards(config_dir), report=report)
    if program is None or loaded is None:
        raise RecipeError(report.errors)
    return Plan(program, generation=loaded.spec.generation, executor=loaded.spec.executor, models=models)


def _card(model: str | ModelCard, cards: Cards, report: Report) -> ModelCard:
    if isinstance(model, ModelCard):
        return card_facts(model)
    found = cards.find(model)
    if found is not None:
        return found
    if looks_like_path(model) or model.endswith(".gguf") or ":" in model or Path(model).exists():
        return card_facts(ModelCard(name=Path(model).name, source=model))
    report.add(codes.UNKNOWN_MODEL(name=model, hint=hint(model, cards.names(), write="model={!r}")))
    fallback = cards.find(DEFAULT_MODEL)
    assert fallback is not None, "the default card ships with ptgflow"
    return fallback


def _generation(options: dict[str, Any], report: Report) -> Generation:
    """Options of a run from keywords, by the same rules as in a recipe."""
    sampling = {name: value for name, value in options.items() if name in Sampling.model_fields}
    rest = {name: value for name, value in options.items() if name not in sampling}
    if isinstance(rest.get("stop"), str):
        rest["stop"] = (rest["stop"],)
    known = [*Sampling.model_fields, *(name for name in Generation.model_fields if name != "sampling")]
    for name in [name for name in rest if name not in known]:
        report.add(codes.UNKNOWN_KEY(owner="compile()", name=name, hint=hint(name, known, write="{}=...")))
        del rest[name]
    try:
        return Generation(sampling=Sampling(**sampling), **rest)
    except ValidationError as error:
        report.add(*(_invalid(dict(problem)) for problem in error.errors()))
        return Generation()


def _invalid(problem: dict[str, Any]) -> Diagnostic:
    name, reason = ".".join(str(step) for step in problem["loc"]), reason_of(str(problem["msg"]))
    return codes.INVALID_VALUE(name=name, value=problem["input"], reason=reason, hint=f"write  {name}=VALUE in range")
