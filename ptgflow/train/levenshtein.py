"""Training of the policies of edits: what they are, what they learn from, and the run."""

from pathlib import Path

import torch

from ptgflow.diagnostics.codes.runtime import NO_HEADS
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.gated_model import written_of
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.loading import WEIGHTS, load_heads
from ptgflow.engine.heads.target import base_of
from ptgflow.engine.models.digest import file_digest
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError
from ptgflow.stages.shipped import shipped_heads
from ptgflow.train.answers import answers_of
from ptgflow.train.edit_spec import LevenshteinSpec
from ptgflow.train.job import heads_to_start_from, whole_teacher
from ptgflow.train.learning import AnswersOf, Trained, Watcher, gathered, learned
from ptgflow.train.objectives.lessons import Lessons, Mistakes
from ptgflow.train.objectives.levenshtein import LevenshteinObjective


def train_levenshtein(
    spec: LevenshteinSpec, model: LoadedModel, watch: Watcher, *, answers: AnswersOf = answers_of
) -> tuple[Trained[LevenshteinObjective], Heads]:
    """Train policies of edits; and the adapters that they read with.

    Raises:
        RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out; what is wrong with the adapters, data
            that cannot be read, a folder that cannot be read or written, or a checkpoint of another run.
        KeyboardInterrupt: somebody wanted to stop; the checkpoint is written.
    """
    written_of(model)
    adapters = _adapters(spec, model)
    config = HeadConfig(
        kind="levenshtein",
        base=base_of(model),
        draft_vocab_size=model.vocab_size,
        taps=edit_taps(model.layers),
        own_output=False,
        block_length=spec.window,
        width=spec.width,
        most=spec.most,
        reach=spec.reach,
        adapters=file_digest(Path(adapters.source) / WEIGHTS),
    )
    known = None if spec.start is None else heads_to_start_from(Path(spec.start), config, model)
    material = gathered(spec, model, (), watch, answers=answers)
    teacher = whole_teacher(model)
    torch.manual_seed(spec.seed)
    mistakes = Mistakes(clean=spec.clean, noise=spec.noise, plausible=spec.plausible, slips=spec.slips)
    lessons = Lessons(config, adapters, model, mistakes, folder=Path(spec.output), seed=spec.seed)
    objective = LevenshteinObjective(config, teacher, lessons=lessons, versions=spec.versions, seed=spec.seed)
    if known is not None:
        known.fill(objective.network)
    objective.network.to(model.device)
    return learned(spec, model, material, objective, teacher, watch, what=config.model_dump_json()), adapters


def edit_taps(layers: int) -> tuple[int, int]:
    """In the middle, where a model knows most of what does not fit, and the last one, which it speaks from."""
    return (2 * layers) // 3, layers


def _adapters(spec: LevenshteinSpec, model: LoadedModel) -> Heads:
    """Raises: RunError: NO_HEADS, HEADS_UNREADABLE, HEADS_MISMATCH or UNSAFE_WEIGHTS."""
    folder = shipped_heads(model.name, "masked") if spec.adapters is None else Path(spec.adapters)
    if folder is None:
        train = "objective=mdm"
        remedy = f"write adapters=FOLDER; ptgflow train {train} model={model.name} data=FILE output=FOLDER trains them"
        stage = "objective=levenshtein"
        raise RunError([NO_HEADS(stage=stage, slot="SLOT", kind="masked", train=train, model=model.name, help=remedy)])
    return load_heads(folder, model, kind="masked")
