"""What a person at a terminal sees while a run goes on: a line for each segment, a bar for downloads, a report."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from ptgflow.executors.events import Event
from ptgflow.executors.result import Result, StageRecord


class Downloads:
    """Shows what the engine says while a model is fetched and loaded (`ptgflow.engine.models.progress`)."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[size]}"),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, text: str, done: int | None = None, total: int | None = None, /) -> None:
        """Show a step; see `ptgflow.engine.models.progress.Progress`."""
        if text not in self._tasks:
            for task in self._tasks.values():
                self._progress.update(task, visible=False)
            self._tasks[text] = self._progress.add_task(text, total=total, size="")
        size = "" if done is None else f"{done / 1e6:.1f} MB"
        whole = "" if done is None or total is None else f" of {total / 1e6:.1f} MB"
        self._progress.update(self._tasks[text], completed=done or 0, total=total, size=size + whole)


class Watch:
    """The segments of one request, each with the end of its text."""

    def __init__(self, console: Console, title: str) -> None:
        self._title = title
        self._how = ""
        self._at_work = ""
        self._titles: dict[int | None, str] = {}
        self._texts: dict[int | None, str] = {}
        self._done: set[int | None] = set()
        self._width = console.width
        self._live = Live(console=console, transient=True, refresh_per_second=8, get_renderable=self._view)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def see(self, event: Event) -> None:
        """Take in what happened."""
        if event.kind == "split":
            self._how = event.text
            titles = event.details.get("titles", [])
            self._titles = {index: title or "" for index, title in enumerate(titles)}
            self._texts, self._done = {}, set()
        elif event.kind == "stage":
            self._at_work = event.slot
            self._texts[event.segment] = ""
        elif event.kind == "text":
            self._texts[event.segment] = self._texts.get(event.segment, "") + event.text
        elif event.kind == "segment_end":
            self._done.add(event.segment)

    def _view(self) -> RenderableType:
        lines = [Text(f"{self._title}  {self._how}".rstrip(), style="bold")]
        for segment in sorted({*self._titles, *self._texts} - {None}, key=lambda one: one or 0) or [None]:
            mark = "done " if segment in self._done else "     "
            title = self._titles.get(segment, "")
            words = " ".join(self._texts.get(segment, "").split())
            room = max(self._width - len(mark) - len(title) - 8, 10)
            line = Text(f"{mark}", style="green")
            line.append(f"{title}  " if title else "", style="cyan")
            line.append(words[-room:] or (f"{self._at_work} ..." if self._at_work else ""), style="dim")
            line.no_wrap = True
            lines.append(line)
        return Group(*lines)


def report(result: Result) -> str:
    """The short report under an answer."""
    metrics = result.metrics
    assert metrics is not None, "an answered request has metrics"
    acceptance = "" if metrics.acceptance_length is None else f", acceptance length {metrics.acceptance_length:.2f}"
    per_token = "" if metrics.steps_per_token is None else f", {metrics.steps_per_token:.2f} steps a token"
    speed = "" if metrics.tokens_per_s is None else f" ({metrics.tokens_per_s:.1f} tokens/s)"
    first = "" if metrics.first_text_s is None else f", first text after {metrics.first_text_s:.1f} s"
    lines = [
        f"{result.recipe} on {result.model}" + (f": {result.how}" if result.how else ""),
        f"{metrics.new_tokens} tokens in {metrics.rounds} rounds ({metrics.critical_rounds} critical)"
        f"{per_token}{acceptance}",
        f"{metrics.wall_s:.1f} s{speed}{first}, {metrics.peak_memory_mb:.0f} MB at most, ended by {_ending(result)}",
    ]
    lines += [
        f"  {stage.name:<8} {stage.method:<22} {stage.tokens_out} tokens, {stage.rounds} rounds, {stage.wall_s:.1f} s"
        f"{_agreement(result, stage)}"
        for stage in metrics.stages
        if stage.method
    ]
    lines.append(f"guarantee {result.guarantee}")
    return "\n".join(lines)


def _agreement(result: Result, stage: StageRecord) -> str:
    """How much of it is the target's own text, where that is not promised."""
    if result.guarantee.level != "none" or stage.agreement is None:
        return ""
    return f", {100 * stage.agreement:.1f} % agree with {result.model}"


def _ending(result: Result) -> str:
    return {"length": "the token limit", "stop": "its own end", "split": "the end of the text"}[result.finish_reason]


def terminal() -> Console | None:
    """The console on stderr, if a person is watching it."""
    return Console(stderr=True) if sys.stderr.isatty() else None
