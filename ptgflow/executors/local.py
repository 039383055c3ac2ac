"""The local executor: every loop of a program in this process."""

import importlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from ptgflow.compiler.passes.resolve import draft_tokenizer, notes_on
from ptgflow.compiler.program import Program
from ptgflow.contracts import MethodSpec, ModelCard
from ptgflow.contracts.settings import Generation
from ptgflow.diagnostics import Severity
from ptgflow.diagnostics.codes.kinds import TOKENIZER_MISMATCH
from ptgflow.diagnostics.codes.methods import MISSING_CAPABILITY, MISSING_EXTRA, NOT_IMPLEMENTED
from ptgflow.engine.costs.calibrate import curve_of
from ptgflow.engine.costs.widths import MeasuredWidth
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.memory import free_memory
from ptgflow.engine.models.model import LoadedModel, Models, load_model
from ptgflow.engine.models.progress import Progress, silent
from ptgflow.errors import InternalError, PtgError, RecipeError
from ptgflow.executors.events import Event
from ptgflow.executors.flow import BoundStage, Track, run_flow
from ptgflow.executors.report import failed, finished
from ptgflow.executors.request import Ask, Job, encode
from ptgflow.executors.result import Result
from ptgflow.executors.worker import Done, Worker
from ptgflow.graph.ir import Node
from ptgflow.stages.base import AbstractMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """What `executor=local` may be told."""

    batch_size: int = 16
    """Most rows in one pass, and most requests at a time."""
    threads: int | None = None
    """Of the framework; None: its own choice."""
    kv_memory_mb: int | None = None
    """Most memory for keys and values of each loop; None: most of what is free when it starts."""


class LocalExecutor:
    """Holds the models of one program and runs requests on them."""

    def __init__(
        self,
        program: Program,
        options: LocalOptions,
        *,
        progress: Progress | None = None,
        models: Models | None = None,
    ) -> None:
        """Load what the program needs.

        Args:
            program: what to run.
            options: how.
            progress: is told what is loaded.
            models: loaded models, taken from here and added to: a sweep loads each once.

        Raises:
            RecipeError: a method has no implementation, needs an extra that is not installed, or the loaded models do
                not have what the recipe relies on.
            RunError: a model cannot be had.
        """
        _require_implementations(program)
        # Before the weights: what a method cannot work with is told without loading them.
        told = silent if progress is None else progress
        self._methods = {node.slot: _implementation(node, told) for node in program.nodes}
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        self._program = program
        self._options = options
        self._models = _load(program, progress, models if models is not None else {})
        _check_loaded(program, self._models)
        used = {program.card.name, *(node.card.name for node in program.nodes if node.card is not None)}
        # A masked model has loops over canvases, which are made when a stage asks for one.
        self._loops = {
            name: self._loop(name, model, progress)
            for name, model in self._models.items()
            if name in used and model.holes is None
        }
        fused = {node.fused_into: self._bind(node) for node in program.nodes if node.fused_into is not None}
        self._stages = [
            replace(self._bind(node), drafting=fused.get(node.slot))
            for node in program.nodes
            if node.fused_into is None
        ]
        self._target = self._models[program.card.name]

    @property
    def models(self) -> tuple[LoadedModel, ...]:
        """Every model of the program."""
        return tuple(self._models.values())

    @property
    def target(self) -> LoadedModel:
        """The model that the recipe's guarantee is about."""
        return self._target

    def _loop(self, name: str, model: LoadedModel, progress: Progress | None) -> DecodeLoop:
        """The loop of a model; what its passes cost is looked up, or measured, where a stage wants to know."""
        megabytes = self._options.kv_memory_mb
        chooses = any(
            node.card is not None
            and node.card.name == name
            and getattr(node.options, "length", "") == "expected_throughput"
            for node in self._program.nodes
        )
        return DecodeLoop(
            model,
            max_rows=self._options.batch_size,
            widths=MeasuredWidth(curve_of(model, progress)) if chooses else None,
            memory=free_memory(model.device) if megabytes is None else megabytes * 2**20,
        )

    def _bind(self, node: Node) -> BoundStage:
        model = self._models[node.card.name if node.card else self._program.card.name]
        draft = None if node.draft_card is None else self._models[node.draft_card.name]
        path = next((one for one in self._program.nodes if one.spec is not None and not one.reads_words), None)
        codec = self._models[(path.card if path is not None and path.card else self._program.card).name].codec
        return BoundStage(
            node=node,
            method=self._methods[node.slot],
            model=model,
            draft_model=draft,
            path_codec=codec if node.reads_words and codec.fingerprint != model.codec.fingerprint else None,
        )

    def run(self, asks: Iterable[Ask], generation: Generation) -> Iterator[Event | Result]:
        """Answer requests; events as they happen, a result as each request ends, in the order of ending.

        Up to `batch_size` requests are worked on at a time, and their rows share passes. When the iterator is closed
        early (an interrupt), the rows of what is unfinished are freed.
        """
        events: deque[Event] = deque()
        worker = Worker(self._loops, self._models, max_rows=self._options.batch_size, tell=events.append)
        running: dict[str, Job] = {}
        queue = enumerate(asks)
        more = True
        try:
            while more or running:
                while more and len(running) < self._options.batch_size:
                    number, ask = next(queue, (0, None))
                    if ask is None:
                        more = False
                        break
                    rejected = self._submit(worker, f"{number}", ask, generation, running)
                    if rejected is not None:
                        yield rejected
                ended = worker.step()
                while events:
                    yield events.popleft()
                for done in ended:
                    yield self._result(done, running.pop(done.running.id))
        finally:
            worker.cancel_all()

    def _submit(
        self, worker: Worker, key: str, ask: Ask, generation: Generation, running: dict[str, Job]
    ) -> Result | None:
        """Start one request; its result at once when it cannot even be encoded."""
        job = Job(id=ask.id, shown=ask.shown, generation=generation)
        try:
            value = encode(
                ask,
                model=self._target,
                starts=self._program.starts,
                generation=generation,
                recipe=self._program.name,
            )
        except PtgError as error:
            return failed(job, self._program, error)
        job = Job(id=ask.id, shown=ask.shown, generation=generation, value=value)
        running[key] = job
        track = Track(generation=generation, budget=generation.max_tokens)
        worker.submit(key, run_flow(self._stages, value, track), track)
        return None

    def _result(self, done: Done, job: Job) -> Result:
        if isinstance(done.error, InternalError):
            raise done.error  # Not the request's fault: what ptgflow itself got wrong is not hidden in a record.
        if done.error is not None:
            return failed(job, self._program, done.error)
        assert done.value is not None, "a request ends with a value or an error"
        return finished(job, self._program, done.running, done.value, self._target.codec)


def _require_implementations(program: Program) -> None:
    missing = program.unimplemented
    if missing:
        notes = [note for note in program.notes if note.rule is NOT_IMPLEMENTED]
        raise RecipeError([replace(note, severity=Severity.ERROR) for note in notes])


def _implementation(node: Node, progress: Progress) -> AbstractMethod[Any, Any] | None:
    spec = node.spec
    if spec is None:
        return None
    assert spec.implementation is not None, "methods without code were refused before"
    try:
        made: object = load_symbol(spec)(node.options)
        assert isinstance(made, AbstractMethod), f"{spec.implementation} is no method"
        made.prepare(progress)
    except ModuleNotFoundError as error:
        if spec.extra is None:
            raise
        raise RecipeError([MISSING_EXTRA(stage=node, package=error.name, extra=spec.extra)]) from error
    return made


def load_symbol(spec: MethodSpec) -> Any:
    """The class that implements a method."""
    module, _, name = str(spec.implementation).partition(":")
    return getattr(importlib.import_module(module), name)


def _load(program: Program, progress: Progress | None, models: Models) -> dict[str, LoadedModel]:
    cards: dict[str, ModelCard] = {program.card.name: program.card}
    for node in program.nodes:
        for card in (node.card, node.draft_card):
            if card is not None:
                cards.setdefault(card.name, card)
    kernels = program.accelerate.kernels
    for card in cards.values():
        if (card, kernels) not in models:
            models[card, kernels] = load_model(card, program.accelerate, progress=progress)
    return {name: models[card, kernels] for name, card in cards.items()}


def _check_loaded(program: Program, models: dict[str, LoadedModel]) -> None:
    """What could not be known before the weights were there, where cards leave it open: capabilities, tokenizers."""
    findings = []
    bound = [node for node in program.nodes if node.spec is not None and node.card is not None]
    for node in bound:
        assert node.spec is not None, "kept only with a method"
        assert node.card is not None, "kept only with a card"
        has = models[node.card.name].capabilities
        if not node.spec.needs <= has:
            findings.append(
                MISSING_CAPABILITY(
                    stage=node,
                    needs=", ".join(sorted(node.spec.needs - has)),
                    model=node.card.name,
                    has=", ".join(sorted(has)),
                    hint="choose another model or another method",
                    notes=notes_on(node.spec.needs - has, has),
                )
            )
    for node in bound:
        draft, options = node.draft_card, node.options
        if draft is not None and node.card is not None and options is not None and not options.reencodes():
            one, two = models[draft.name].codec.fingerprint, models[node.card.name].codec.fingerprint
            if one != two:
                findings.append(draft_tokenizer(node, draft, one, two))
    path = [node for node in bound if not node.reads_words]
    for left, right in zip(path, path[1:], strict=False):
        assert left.card is not None, "kept only with a card"
        assert right.card is not None, "kept only with a card"
        one, two = models[left.card.name].codec.fingerprint, models[right.card.name].codec.fingerprint
        if one != two:
            findings.append(
                TOKENIZER_MISMATCH(
                    left=repr(left.slot),
                    right=repr(right.slot),
                    right_slot=right.slot,
                    have=f"{left.slot!r} on {left.card.name!r}: tokenizer {one}",
                    want=f"{right.slot!r} on {right.card.name!r}: tokenizer {two}",
                )
            )
    if findings:
        raise RecipeError(findings)
