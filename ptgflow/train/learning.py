"""What all objectives share: prompts, the answers of the target and its states over them, and the loop that learns.

Each step leaves what it has done on disk, so a run can be killed in any of them.
"""

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from ptgflow.engine.models.digest import file_digest
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.precision import resolved
from ptgflow.train.answers import Answer, answers_of
from ptgflow.train.features import FeatureStore, TextStore
from ptgflow.train.invented import invented_prompts
from ptgflow.train.objectives.objective import Objective, Teacher
from ptgflow.train.prompts import TrainingPrompt, read_prompts
from ptgflow.train.spec import LearningSpec
from ptgflow.train.trainer import Progress, Schedule, Trainer

CHECKPOINT: Final = "checkpoint.pt"
"""In the output folder, while a run goes on."""

ObjectiveT = TypeVar("ObjectiveT", bound=Objective)
ObjectiveT_co = TypeVar("ObjectiveT_co", bound=Objective, covariant=True)
AnswersOf = Callable[..., list[Answer]]
"""Writes the answers of a model, as `answers_of` does."""


class Watcher(Protocol):
    """Who is told how a run goes."""

    def stage(self, text: str, done: int, total: int, note: str = "") -> None:
        """Prompts are answered, or states are computed."""
        ...

    def training(self, progress: Progress) -> None:
        """The network learns."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is learnt from."""

    answers: tuple[Answer, ...]
    store: FeatureStore | TextStore
    """The target's states over them, or their tokens alone."""
    held_out: tuple[TrainingPrompt, ...]
    """Prompts that are not trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained(Generic[ObjectiveT_co]):
    """A network at the end of a run, and what is known of how it came about."""

    objective: ObjectiveT_co
    teacher: Teacher
    examples: int
    held_out: tuple[TrainingPrompt, ...]
    """Prompts that were not trained on."""
    answer_tokens: int
    """In the data, each counted once."""
    data: tuple[tuple[str, str], ...]
    """Files and their SHA-256."""
    first_loss: float
    loss: float
    hits: tuple[float, ...]
    seconds: float
    tokens: int
    """Learnt from, over all epochs."""


def gathered(
    spec: LearningSpec,
    model: LoadedModel,
    taps: Sequence[int],
    watch: Watcher,
    *,
    answers: AnswersOf = answers_of,
) -> Material:
    """Prompts, what the target answers, and its states at some taps; without any, its tokens alone.

    Raises:
        RunError: data that cannot be read, or a cache folder that cannot be written.
    """
    prompts = _prompts(spec, model, watch)[: spec.prompts]
    held_out, prompts = prompts[: spec.held_out], prompts[spec.held_out :]
    texts = answers(
        model,
        prompts,
        max_tokens=spec.max_tokens,
        tell=lambda done, of, tokens: watch.stage("answers of the target", done, of, f"{tokens} tokens"),
    )
    if not taps:
        return Material(answers=tuple(texts), store=TextStore(), held_out=tuple(held_out))
    store = FeatureStore(model, taps)
    store.fill(texts, lambda done, of: watch.stage("states of the target", done, of))
    return Material(answers=tuple(texts), store=store, held_out=tuple(held_out))


def learned(
    spec: LearningSpec,
    model: LoadedModel,
    material: Material,
    objective: ObjectiveT,
    teacher: Teacher,
    watch: Watcher,
    *,
    what: str,
) -> Trained[ObjectiveT]:
    """Train to the end, from the checkpoint in the output folder if there is one.

    Args:
        spec: the schedule.
        model: the target.
        material: what is learnt from.
        objective: what is trained, in its first state.
        teacher: what the target knows.
        watch: is told how it goes.
        what: describes the network, so that no other one's checkpoint is gone on with.

    Raises:
        RunError: a folder that cannot be written, or a checkpoint of another run.
        KeyboardInterrupt: somebody wanted to stop; the checkpoint is written.
    """
    trainer = _trainer(spec, objective, material, model, what)
    trainer.run(watch.training)
    totals = trainer.totals
    return Trained(
        objective=objective,
        teacher=teacher,
        examples=len(material.answers),
        held_out=material.held_out,
        answer_tokens=sum(len(one.token_ids) for one in material.answers),
        data=tuple(_digests(spec.data)),
        first_loss=totals.first_loss,
        loss=totals.last_loss,
        hits=totals.hits,
        seconds=totals.seconds,
        tokens=totals.tokens,
    )


def _prompts(spec: LearningSpec, model: LoadedModel, watch: Watcher) -> list[TrainingPrompt]:
    """Those of the data and those that the model makes up, in an order that the seed decides."""
    found = read_prompts([Path(one) for one in spec.data], seed=spec.seed) if spec.data else []
    if spec.invent:
        invented = invented_prompts(
            model, spec.invent, seed=spec.seed, tell=lambda done, of, _: watch.stage("prompts made up", done, of)
        )
        found += map(TrainingPrompt, invented)
        random.Random(spec.seed).shuffle(found)
    return list(dict.fromkeys(found))


def _trainer(spec: LearningSpec, objective: Objective, material: Material, model: LoadedModel, what: str) -> Trainer:
    texts = material.answers
    lengths = [(len(text.prompt_ids), len(text.prompt_ids) + len(text.token_ids)) for text in texts]
    digest = hashlib.sha256(json.dumps([[one.prompt_ids, one.token_ids] for one in texts]).encode()).hexdigest()
    # Nothing whose order differs from one process to the next, as that of a set does.
    of_the_model = {"capabilities", "description", "device"}
    settings = spec.model_dump_json(exclude={"output": True, "threads": True, "format": True, "model": of_the_model})
    return Trainer(
        objective,
        [partial(material.store.read, text) for text in texts],
        lengths,
        Schedule(
            epochs=spec.epochs,
            batch_size=spec.batch_size,
            rate=spec.rate,
            warmup=spec.warmup,
            clip=spec.clip,
            seed=spec.seed,
        ),
        device=model.device,
        checkpoint=Path(spec.output) / CHECKPOINT,
        key=f"{digest} {what} {settings}",
        mixed=resolved("auto" if spec.precision == "auto" else spec.precision, model.device, written=True)
        == "bfloat16",
    )


def _digests(paths: Sequence[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for given in paths:
        path = Path(given)
        files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        found += ((file.name, file_digest(file)) for file in files)
    return found
