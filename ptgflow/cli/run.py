"""`ptgflow run`: generate. The text goes to stdout, everything else to stderr."""

import json
import sys
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from ptgflow.api import Plan
from ptgflow.cli.arguments import Arguments, UsageError
from ptgflow.cli.compiled import Compiled, compiled, jobs, plan_of, print_config
from ptgflow.cli.inputs import Inputs, read_inputs, unfinished
from ptgflow.cli.live import Downloads, Watch, report, terminal
from ptgflow.cli.marks import with_edits
from ptgflow.cli.output import only, say, show
from ptgflow.cli.results import LineFile, ResultFile
from ptgflow.diagnostics import Severity
from ptgflow.diagnostics.codes.methods import NOT_IMPLEMENTED
from ptgflow.engine.models.model import Models
from ptgflow.errors import RecipeError
from ptgflow.executors.events import Event
from ptgflow.executors.request import Ask
from ptgflow.executors.result import Result
from ptgflow.recipe.schema import RecipeSpec


def main(arguments: Arguments) -> int:
    """0 when every request of every job was answered, 2 when one was not."""
    if arguments.cfg is not None:
        return 0 if print_config(arguments) else 2
    codes: list[int] = []
    models: Models = {}
    for overrides in jobs(arguments):
        job = compiled(overrides, arguments)
        if job.program is None:
            show(one for one in job.report if one.severity is Severity.ERROR)
            codes.append(2)
            continue
        codes.append(_run(job, models))
    return max(codes, default=0)


def _run(job: Compiled, models: Models) -> int:
    assert job.program is not None, "a rejected recipe is not run"
    assert job.loaded is not None, "a program was loaded from something"
    spec, console = job.loaded.spec, terminal()
    # Everything that can be known to be wrong is told before a model is fetched.
    only(spec.format, "text", "json")
    missing = [one for one in job.report if one.rule is NOT_IMPLEMENTED]
    if missing:
        raise RecipeError([replace(one, severity=Severity.ERROR) for one in missing])
    show(one for one in job.report if one.severity is not Severity.ERROR)
    inputs = read_inputs(spec)
    if spec.show is not None and (inputs.many or spec.format != "text"):
        reason = "input= has many answers" if inputs.many else "format=json has each edit in its stage's record"
        raise UsageError(f"show=edits marks the text of one answer, and {reason}\n   help: write  show=null")
    show(inputs.problems)
    run = {"recipe": job.program.name, "model": job.program.card.name, "seed": spec.seed}
    with ExitStack() as stack:
        output = stack.enter_context(closing(ResultFile(Path(spec.output), run))) if spec.output else None
        trace = stack.enter_context(closing(LineFile(Path(spec.trace)))) if spec.trace else None
        asks = list(unfinished(inputs, output.finished if output else {}))
        if len(asks) < len(inputs.asks):
            say(f"{len(inputs.asks) - len(asks)} of {len(inputs.asks)} are finished already in {spec.output}")
        if not asks:
            return 2 if inputs.problems else 0
        plan = _loaded(job, console, models)
        failures = _answer(plan, asks, inputs, spec, output=output, trace=trace, console=console)
    return 2 if failures or inputs.problems else 0


def _loaded(job: Compiled, console: Console | None, models: Models) -> Plan:
    """The plan with its models in memory; a person watches the download."""
    with Downloads(console) if console is not None else nullcontext(None) as downloads:
        plan = plan_of(job, progress=downloads, models=models)
        _ = plan.executor
    return plan


def _answer(
    plan: Plan,
    asks: list[Ask],
    inputs: Inputs,
    spec: RecipeSpec,
    *,
    output: ResultFile | None,
    trace: LineFile | None,
    console: Console | None,
) -> int:
    """Run all requests; how many failed. An interruption keeps what is finished."""
    results: list[Result] = []
    title = f"{plan.program.name} on {plan.program.card.name}"
    try:
        with Watch(console, title) if console is not None and not inputs.many else nullcontext(None) as watch:
            for happened in plan.run_many(asks):
                if isinstance(happened, Event):
                    _keep(happened, trace, watch)
                    continue
                results.append(happened)
                if output is not None:
                    output.append(happened.record())
                if inputs.many:
                    _one_of_many(happened, len(results), len(asks), output, console)
    except KeyboardInterrupt:
        if inputs.many:
            say(f"\n{len(results)} of {len(asks)} finished" + (", the same command continues" if output else ""))
        raise
    if not inputs.many:
        for result in results:
            _single(result, spec, console)
    return sum(not result.ok for result in results)


def _keep(event: Event, trace: LineFile | None, watch: Watch | None) -> None:
    if event.kind == "warning":
        say(event.text)
    if trace is not None:
        trace.append(event.as_dict())
    if watch is not None:
        watch.see(event)


def _single(result: Result, spec: RecipeSpec, console: Console | None) -> None:
    if not result.ok:
        say(result.error_report)
        return
    if spec.format == "json":
        print(json.dumps(result.record(), ensure_ascii=False), flush=True)
    else:
        print(with_edits(result, colour=sys.stdout.isatty()) if spec.show == "edits" else result.text, flush=True)
    if spec.report == "always" or (spec.report == "auto" and console is not None):
        say(f"\n{report(result)}")


def _one_of_many(result: Result, done: int, total: int, output: ResultFile | None, console: Console | None) -> None:
    if output is None:
        print(json.dumps(result.record(), ensure_ascii=False), flush=True)
    if not result.ok:
        say(result.error_report.replace("\n", f"\n  --> request {result.id!r}\n", 1))
    elif console is not None and result.metrics is not None:
        say(f"[{done}/{total}] {result.id}: {result.metrics.new_tokens} tokens, {result.metrics.wall_s:.1f} s")
