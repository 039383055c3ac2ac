"""What is seen while a training run goes on."""

import time
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ptgflow.cli.output import say

if TYPE_CHECKING:
    from ptgflow.train.trainer import Progress

_EVERY_S: Final = 15.0
"""How often a line is printed where no person is watching."""


class View:
    """A live table for a person, a line now and then for a log."""

    def __init__(self, console: Console | None, title: str, *, hits: str = "each position ahead") -> None:
        self._title = title
        self._hits = hits
        """What the shares are of that training tells of."""
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
        """The network learns."""
        left = time.strftime("%H:%M:%S", time.gmtime(progress.seconds_left))
        self._show(
            [
                ("step", f"{progress.step} of {progress.steps}, {left} left"),
                ("loss", f"{progress.loss:.3f}"),
                (f"top-1 of {self._hits}", " ".join(f"{100 * hit:.1f}%" for hit in progress.hits)),
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
