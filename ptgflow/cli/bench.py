"""`ptgflow bench`: recipes side by side, on the same requests and in one run."""

import time
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ptgflow.bench.cases import Case, read_cases
from ptgflow.bench.load import Lineup, load_bench
from ptgflow.cli.arguments import Arguments
from ptgflow.cli.live import Downloads, terminal
from ptgflow.cli.output import only, print_json, say, show
from ptgflow.cli.train_view import View
from ptgflow.diagnostics import Report

if TYPE_CHECKING:
    from ptgflow.bench.comparison import Comparison
    from ptgflow.bench.keeping import Keeper


def main(arguments: Arguments) -> int:
    """0 when everything was compared, 2 when something was not answered or is wrong with the command."""
    report = Report()
    lineup = load_bench(arguments.overrides, config_dir=arguments.config_dir, report=report)
    show(report)
    if lineup is None:
        return 2
    only(lineup.spec.format, "text", "json")
    return _compare(lineup, read_cases(lineup.spec))


def _compare(lineup: Lineup, cases: list[Case]) -> int:
    # Torch is imported here and not above, so that a mistake is told at once.
    from ptgflow.bench.comparison import Comparison
    from ptgflow.bench.keeping import Keeper
    from ptgflow.bench.measures.chrf import Chrf, absence
    from ptgflow.bench.summary import failures
    from ptgflow.cli.bench_view import tables

    output, console = lineup.spec.output, terminal()
    keeper = Keeper(Path(output)) if output is not None else None
    missing = absence() if lineup.reference is not None else None
    show([missing] if missing is not None else [])
    with Downloads(console) if console is not None else nullcontext(None) as downloads:
        chrf = Chrf() if lineup.reference is not None and missing is None else None
        comparison = Comparison(lineup, cases, chrf=chrf, warn=say, progress=downloads)
    try:
        _run(comparison, lineup, len(cases), keeper, console)
    except KeyboardInterrupt:
        done = len(comparison.judged)
        kept = f"; they are in {output}" if done and output is not None else ""
        say(f"\n{done} of {len(cases)} requests finished{kept}")
        raise
    failed = failures(comparison.judged)
    for label, reason, ids in failed:
        few = ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
        out = "it" if len(ids) == len(cases) else "what it did not answer"
        say(f"{label} did not answer {few}; {out} is left out of the comparison:\n{reason}")
    if lineup.spec.format == "json":
        print_json(comparison.facts())
    else:
        print(tables(comparison.setting, comparison.rows, comparison.judged))
    if output is not None:
        say(f"\nwritten to {output}")
    return 2 if failed else 0


def _run(
    comparison: "Comparison", lineup: Lineup, count: int, keeper: "Keeper | None", console: Console | None
) -> None:
    """All cases; whoever waits sees how far it is."""
    title = f"{len(comparison.labels)} systems on {count} requests"
    begin = time.monotonic()
    with View(console, title) as view:

        def tell(done: int, total: int) -> None:
            nonlocal begin
            note = "warming up"
            if done:
                left = (time.monotonic() - begin) / done * (total - done)
                note = f"{time.strftime('%H:%M:%S', time.gmtime(left))} left"
            else:
                begin = time.monotonic()
            view.stage("answers", done, total, note)

        with closing(comparison.run(keeper, tell)) as judged:
            for _ in judged:
                pass
