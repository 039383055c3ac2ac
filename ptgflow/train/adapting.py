"""Adaptation to masked diffusion, and teaching it to need fewer steps: what is trained, from what, and the run."""

from pathlib import Path

import torch

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.gated_model import written_of
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.heads.target import base_of, layer_sizes
from ptgflow.engine.models.model import LoadedModel
from ptgflow.train.answers import answers_of
from ptgflow.train.job import heads_to_start_from, whole_teacher
from ptgflow.train.learning import AnswersOf, Trained, Watcher, gathered, learned
from ptgflow.train.objectives.divergences import divergence_of
from ptgflow.train.objectives.mdm import MdmObjective
from ptgflow.train.objectives.sdtt import SdttObjective
from ptgflow.train.spec import MdmSpec, SdttSpec


def adapt(
    spec: MdmSpec, model: LoadedModel, watch: Watcher, *, answers: AnswersOf = answers_of
) -> Trained[MdmObjective]:
    """Train a mask token and adapters.

    Raises:
        RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out; data that cannot be read, a folder that
            cannot be written, or a checkpoint of another run.
        KeyboardInterrupt: somebody wanted to stop; the checkpoint is written.
    """
    written_of(model)
    config = HeadConfig(
        kind="masked",
        base=base_of(model),
        draft_vocab_size=model.vocab_size,
        taps=(),
        own_output=False,
        rank=spec.rank,
        block_length=spec.block_length,
        **layer_sizes(model),
    )
    known = None if spec.start is None else heads_to_start_from(Path(spec.start), config, model)
    material = gathered(spec, model, (), watch, answers=answers)
    teacher = whole_teacher(model)
    torch.manual_seed(spec.seed)
    objective = MdmObjective(config, teacher, anchors=spec.anchors, noise=spec.noise, seed=spec.seed)
    if known is not None:
        known.fill(objective.network)
    objective.network.to(model.device)
    return learned(spec, model, material, objective, teacher, watch, what=config.model_dump_json())


def hasten(
    spec: SdttSpec, model: LoadedModel, watch: Watcher, *, answers: AnswersOf = answers_of
) -> Trained[SdttObjective]:
    """Teach trained adapters to say in one step what they say in several.

    Raises:
        RunError: what is wrong with the adapters, data that cannot be read, a folder that cannot be written, or a
            checkpoint of another run.
        KeyboardInterrupt: somebody wanted to stop; the checkpoint is written.
    """
    written_of(model)
    heads = load_heads(Path(spec.start), model, kind="masked")
    material = gathered(spec, model, (), watch, answers=answers)
    teacher = whole_teacher(model)
    objective = SdttObjective(
        heads,
        teacher,
        steps=spec.steps,
        grid=spec.grid,
        apart=divergence_of(spec.divergence, spec.beta),
        anchors=spec.anchors,
        seed=spec.seed,
    )
    objective.network.to(model.device)
    return learned(spec, model, material, objective, teacher, watch, what=heads.config.model_dump_json())
