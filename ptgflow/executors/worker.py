"""The worker loop: it advances the generators of many requests and batches the rows that they wait for.

One model pass a loop a step. A request that fails takes only its own rows along.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ptgflow.contracts import Segment
from ptgflow.engine.canvas.loop import CanvasLoop
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.edit.loop import EditLoop
from ptgflow.engine.edit.request import EditRequest
from ptgflow.engine.loops import Loop, Request
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.oneshot.loop import OneShotLoop
from ptgflow.engine.oneshot.request import OneShotRequest
from ptgflow.engine.request import Decoded, DecodeRequest
from ptgflow.engine.rounds import Round, RowId
from ptgflow.errors import PtgError
from ptgflow.executors.events import Event, EventKind
from ptgflow.executors.flow import Decode, FlowWork, Fork, Happened, Track

Tell = Callable[[Event], None]
LoopKey = tuple[str, str]
"""The model, and for a loop over canvases, windows or texts the slot of the stage, which has weights of its own."""


@dataclass(slots=True, kw_only=True)
class Running:
    """A request on this worker."""

    id: str
    track: Track
    started: float
    first_text_s: float | None = None
    passes: dict[LoopKey, set[int]] = field(default_factory=dict[LoopKey, set[int]])
    """Loop -> passes that contained rows of this request."""
    tasks: "list[Task]" = field(default_factory=list["Task"])
    """Every part of it that is not finished."""


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """A generator, and who waits for its result."""

    work: FlowWork
    owner: Running
    parent: "Task | None" = None
    place: int = 0
    """Which result of the parent's fork this is."""
    results: list[Segment | None] = field(default_factory=list[Segment | None])
    missing: int = 0
    """Results of its own fork that are still to come."""
    row: tuple[LoopKey, RowId] | None = None
    """The row that it waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A request that has ended: with its value, or with the error that ended it."""

    running: Running
    value: Segment | None = None
    error: PtgError | None = None


class Worker:
    """Runs requests on the decode loops of the models that it holds, and on loops over canvases."""

    def __init__(
        self, loops: Mapping[str, Loop], models: Mapping[str, LoadedModel], *, max_rows: int, tell: Tell
    ) -> None:
        """Make an idle worker.

        Args:
            loops: the decode loop of each model.
            models: the models themselves, by the same names.
            max_rows: most rows in a pass of any other loop, which are made when one is asked for.
            tell: takes events.
        """
        self._loops: dict[LoopKey, Loop] = {(name, ""): loop for name, loop in loops.items()}
        self._models = models
        self._max_rows = max_rows
        self._tell = tell
        self._waiting: dict[tuple[LoopKey, RowId], tuple[Task, Decode]] = {}
        self._done: list[Done] = []

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._done

    def submit(self, request: str, work: FlowWork, track: Track) -> None:
        """Start a request; it runs up to the first row that it waits for."""
        running = Running(id=request, track=track, started=time.perf_counter())
        self._event(running, track, "start")
        task = Task(work=work, owner=running)
        running.tasks.append(task)
        self._guarded(running, lambda: self._advance(task, None))

    def step(self) -> tuple[Done, ...]:
        """One pass of every loop that has rows; then what has ended."""
        for name, loop in list(self._loops.items()):
            if not loop.idle:
                self._settle(name, loop)
        ended, self._done = tuple(self._done), []
        return ended

    def cancel_all(self) -> None:
        """Drop every request and free its rows."""
        for task, _ in list(self._waiting.values()):
            self._drop(task.owner)

    def _settle(self, name: LoopKey, loop: Loop) -> None:
        members = [key for key in self._waiting if key[0] == name]
        try:
            found = loop.round()
        except PtgError as error:
            for running in {id(self._waiting[key][0].owner): self._waiting[key][0].owner for key in members}.values():
                self._fail(running, error)
            return
        self._count(name, found)
        for finding in found.warnings:
            self._tell(Event(kind="warning", request="", time_s=0.0, text=str(finding)))
        for row, text in found.settled.items():
            task, decode = self._waiting[name, row]
            self._told(task.owner, decode, text)
        # No row that has ended is the loop's any more, whatever the first of these does to the request of another.
        ended = {row: self._waiting.pop((name, row))[0] for row in (*found.finished, *found.failed)}
        for task in ended.values():
            task.row = None
        for row, task in ended.items():
            if task not in task.owner.tasks:
                continue  # Its request has failed a moment ago.
            if row in found.failed:
                self._guarded(task.owner, partial(_throw, task, found.failed[row]))
            else:
                self._resume(task, found.finished[row])

    def _resume(self, task: Task, answer: Decoded) -> None:
        self._guarded(task.owner, lambda: self._advance(task, answer))

    def _count(self, name: LoopKey, found: Round) -> None:
        for row in found.rows:
            task, _ = self._waiting[name, row]
            task.owner.passes.setdefault(name, set()).add(found.number)

    def _told(self, running: Running, by: Decode | Happened, text: str) -> None:
        now = time.perf_counter() - running.started
        if by.final and running.first_text_s is None:
            running.first_text_s = now
        self._event(running, by.track, "text", slot=by.slot, text=text, final=by.final)

    def _advance(self, task: Task, answer: Any) -> None:
        """Run a generator until it waits for something, or ends."""
        try:
            while True:
                effect = task.work.send(answer)
                answer = None
                if isinstance(effect, Happened) and effect.kind == "text":
                    self._told(task.owner, effect, effect.text)
                elif isinstance(effect, Happened):
                    self._event(
                        task.owner,
                        effect.track,
                        effect.kind,
                        slot=effect.slot,
                        text=effect.text,
                        details=effect.details,
                    )
                elif isinstance(effect, Decode):
                    key = self._key(effect)
                    task.row = (key, self._loops[key].admit(effect.request))
                    self._waiting[task.row] = (task, effect)
                    return
                else:
                    self._fork(task, effect)
                    return
        except StopIteration as finished:
            self._finish(task, finished.value)

    def _key(self, effect: Decode) -> LoopKey:
        """The loop that a request is for."""
        request = effect.request
        key = (effect.model, "" if isinstance(request, DecodeRequest) else effect.slot)
        if key not in self._loops:
            self._loops[key] = self._opened(request, self._models[effect.model])
        return key

    def _opened(self, request: Request, model: LoadedModel) -> Loop:
        """A loop for what a stage asks that needs one of its own."""
        if isinstance(request, CanvasRequest):
            return CanvasLoop(model, request.denoiser, max_rows=self._max_rows)
        if isinstance(request, OneShotRequest):
            return OneShotLoop(model, request.windows, max_rows=self._max_rows)
        assert isinstance(request, EditRequest), "the decode loop of each model is there from the beginning"
        return EditLoop(model, request.editor, max_rows=self._max_rows)

    def _fork(self, task: Task, effect: Fork) -> None:
        task.results = [None] * len(effect.flows)
        task.missing = len(effect.flows)
        children = [
            Task(work=flow, owner=task.owner, parent=task, place=place) for place, flow in enumerate(effect.flows)
        ]
        task.owner.tasks += children
        for child in children:
            self._advance(child, None)

    def _finish(self, task: Task, value: Segment) -> None:
        task.owner.tasks.remove(task)
        parent = task.parent
        if parent is None:
            self._event(task.owner, task.owner.track, "end")
            self._done.append(Done(running=task.owner, value=value))
            return
        parent.results[task.place] = value
        parent.missing -= 1
        if parent.missing == 0:
            self._advance(parent, parent.results)

    def _guarded(self, running: Running, work: Callable[[], None]) -> None:
        try:
            work()
        except PtgError as error:
            self._fail(running, error)

    def _fail(self, running: Running, error: PtgError) -> None:
        self._drop(running)
        self._event(running, running.track, "error", text=str(error.findings[0]))
        self._done.append(Done(running=running, error=error))

    def _drop(self, running: Running) -> None:
        for task in running.tasks:
            if task.row is not None:
                name, row = task.row
                self._loops[name].cancel(row)
                del self._waiting[task.row]
            task.work.close()
        running.tasks.clear()

    def _event(
        self,
        running: Running,
        track: Track,
        kind: EventKind,
        *,
        slot: str = "",
        text: str = "",
        final: bool = False,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self._tell(
            Event(
                kind=kind,
                request=running.id,
                time_s=time.perf_counter() - running.started,
                segment=track.segment,
                slot=slot,
                text=text,
                final=final,
                details=dict(details or {}),
            )
        )


def _throw(task: Task, error: Exception) -> None:
    """Tell a generator that its row was ended by an error, which it makes the error of its request."""
    task.work.throw(error)
    raise AssertionError("a stage does not outlive the error of its row")
