"""`ptgflow train`: heads for a model, from prompts that it answers itself; or what `train retrieval` builds."""

import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ptgflow.cli.arguments import Arguments, UsageError
from ptgflow.cli.compiled import print_plain_config
from ptgflow.cli.live import Downloads, terminal
from ptgflow.cli.output import only, print_json, say, show
from ptgflow.diagnostics import Report, Severity
from ptgflow.train.load import load_train
from ptgflow.train.spec import TrainSpec

if TYPE_CHECKING:
    from ptgflow.train.trainer import Progress

_EVERY_S = 15.0
"""How often a line is printed where no person is watching."""


def main(arguments: Arguments) -> int:
    """0 when the heads were trained or the datastore was built, else 2."""
    if arguments.multirun:
        raise UsageError("train runs once\n   help: leave -m out, and call it once for each kind of heads")
    what, *overrides = arguments.overrides or ("",)
    if what == "retrieval":
        from ptgflow.cli.train_retrieval import main as train_retrieval

        return train_retrieval(replace(arguments, overrides=tuple(overrides)))
    report = Report()
    spec, config = load_train(arguments.overrides, config_dir=arguments.config_dir, report=report)
    show(one for one in report if one.severity is Severity.ERROR)
    if arguments.cfg is not None and config is not None and report.ok:
        print_plain_config(config, arguments.cfg)
        return 0
    if spec is None or not report.ok:
        return 2
    only(spec.format, "text", "json")
    return _train(spec)


def _train(spec: TrainSpec) -> int:
    # Torch is imported here and not above, so that a mistake is told at once.
    import torch

    from ptgflow.engine.heads.loading import load_heads
    from ptgflow.engine.models.model import load_model
    from ptgflow.train.card import facts_of, markdown, save_card
    from ptgflow.train.job import train
    from ptgflow.train.measuring import Acceptance, acceptance
    from ptgflow.train.saving import save_heads

    if spec.threads is not None:
        torch.set_num_threads(spec.threads)
    console, folder = terminal(), Path(spec.output)
    with Downloads(console) if console is not None else nullcontext(None) as downloads:
        model = load_model(spec.model, spec.accelerate, progress=downloads)
    with View(console, f"{spec.heads.kind} heads for {model.name}") as view:
        trained = train(spec, model, view)
        config = trained.objective.config
        save_heads(folder, config, trained.objective.network, trained.teacher.vocabulary)
        heads = load_heads(folder, model, kind=config.kind)
        found: list[Acceptance] = []
        for tree, nodes in (("chain", 4), ("dyspec", 8), ("dyspec", 16), ("dyspec", 32)):
            view.stage("tokens a round on held-out prompts", len(found), 4)
            found.append(acceptance(heads, model, trained.held_out, max_tokens=spec.max_tokens, tree=tree, nodes=nodes))
    facts = facts_of(spec, model, trained, tuple(found))
    save_card(folder, facts)
    (folder / "checkpoint.pt").unlink(missing_ok=True)
    if spec.format == "json":
        print_json(facts)
    else:
        print(markdown(facts), end="")
    say(f"\nwritten to {folder}; use them with  stages.SLOT.weights={folder}")
    return 0


class View:
    """What is seen while a run goes on: a live table for a person, a line now and then for a log."""

    def __init__(self, console: Console | None, title: str) -> None:
        self._title = title
        self._lines: list[tuple[str, str]] = []
        self._told = 0.0
        self._live = None if console is None else Live(console=console, transient=True, get_renderable=self._view)

    def __enter__(self) -> "View":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def stage(self, text: str, done: int, total: int, note: str = "") -> None:
        """Prompts are answered, or states are computed."""
        self._show([(text, f"{done} of {total}" + (f", {note}" if note else ""))])

    def training(self, progress: "Progress") -> None:
        """Heads learn."""
        left = time.strftime("%H:%M:%S", time.gmtime(progress.seconds_left))
        self._show(
            [
                ("step", f"{progress.step} of {progress.steps}, {left} left"),
                ("loss", f"{progress.loss:.3f}"),
                ("top-1 of each position ahead", " ".join(f"{100 * hit:.1f}%" for hit in progress.hits)),
                ("tokens learnt from", f"{progress.tokens}, {progress.tokens_per_s:.0f} a second"),
            ]
        )

    def _show(self, lines: list[tuple[str, str]]) -> None:
        self._lines = lines
        now = time.monotonic()
        if self._live is None and now - self._told > _EVERY_S:
            self._told = now
            say("  ".join(f"{name} {value}" for name, value in lines))

    def _view(self) -> Table:
        table = Table(title=Text(self._title, style="bold"), show_header=False, box=None, title_justify="left")
        for name, value in self._lines:
            table.add_row(Text(name, style="cyan"), value)
        return table
