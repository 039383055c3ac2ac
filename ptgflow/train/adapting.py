"""Adaptation to masked diffusion: what it is, what it learns from, and the run."""

import torch

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.gated_model import written_of
from ptgflow.engine.heads.target import base_of, layer_sizes
from ptgflow.engine.models.model import LoadedModel
from ptgflow.train.answers import answers_of
from ptgflow.train.job import teacher_of
from ptgflow.train.learning import AnswersOf, Trained, Watcher, gathered, learned
from ptgflow.train.objectives.mdm import MdmObjective
from ptgflow.train.spec import MdmSpec


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
    material = gathered(spec, model, (), watch, answers=answers)
    teacher = teacher_of(model, torch.arange(model.vocab_size, device=model.device))
    torch.manual_seed(spec.seed)
    objective = MdmObjective(config, teacher, anchors=spec.anchors, noise=spec.noise, seed=spec.seed)
    objective.network.to(model.device)
    return learned(spec, model, material, objective, teacher, watch, what=config.model_dump_json())
