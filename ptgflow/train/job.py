"""Training of heads: what they are, what they learn from, and what they are trained for."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Int
from torch import Tensor

from ptgflow.diagnostics.codes.runtime import HEADS_MISMATCH, HEADS_UNREADABLE
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.gated_model import written_of
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.loading import WEIGHTS, load_heads
from ptgflow.engine.heads.target import base_of, layer_settings, layer_sizes
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError
from ptgflow.train.answers import Answer, answers_of
from ptgflow.train.learning import AnswersOf, Trained, Watcher, gathered, learned
from ptgflow.train.objectives.blockwise import BlockwiseObjective
from ptgflow.train.objectives.eagle import EagleObjective
from ptgflow.train.objectives.gated_lora import GatedLoraObjective
from ptgflow.train.objectives.hydra import HydraObjective
from ptgflow.train.objectives.medusa import MedusaObjective
from ptgflow.train.objectives.objective import HeadObjective, Teacher
from ptgflow.train.spec import TrainSpec

_SHAPE: Final = (
    *("heads", "layers", "draft_vocab_size", "own_output", "intermediate_size", "rank", "taps"),
    *("block_length", "width", "most", "reach", "adapters"),
)
"""What has to be the same where training goes on: all other settings follow from the base, and that is the model's."""


def train(
    spec: TrainSpec, model: LoadedModel, watch: Watcher, *, answers: AnswersOf = answers_of
) -> Trained[HeadObjective]:
    """Train heads.

    Raises:
        RunError: data that cannot be read, a folder that cannot be written, or a checkpoint of another run.
        KeyboardInterrupt: somebody wanted to stop; the checkpoint is written.
    """
    config, taps = head_config(spec, model)
    known = None if spec.start is None else heads_to_start_from(Path(spec.start), config, model)
    material = gathered(spec, model, taps, watch, answers=answers)
    ids = draft_vocabulary(material.answers, config.draft_vocab_size, model) if known is None else known.vocabulary
    teacher = teacher_of(model, ids)
    torch.manual_seed(spec.seed)
    objective = objective_of(spec, config, teacher)
    if known is not None:
        known.fill(objective.network)
    return learned(spec, model, material, objective, teacher, watch, what=config.model_dump_json())


def head_config(spec: TrainSpec, model: LoadedModel) -> tuple[HeadConfig, tuple[int, ...]]:
    """What is trained, and at which taps the target is read: those of eagle, and then the last.

    Raises:
        RunError: UNSUPPORTED_MODEL, for gated_lora heads of a model whose pass is not written out.
    """
    heads, base = spec.heads, base_of(model)
    size = min(heads.draft_vocab_size or model.vocab_size, model.vocab_size)
    # All kinds share the stored states.
    taps = eagle_taps(model.layers)
    if heads.kind == "gated_lora":
        written_of(model)
        made = HeadConfig(
            kind="gated_lora",
            base=base,
            draft_vocab_size=size,
            heads=heads.heads,
            taps=(),
            own_output=False,
            rank=heads.rank,
            **layer_sizes(model),
        )
        return made, (*taps, model.layers)
    if heads.kind != "eagle":
        made = HeadConfig(
            kind=heads.kind,
            base=base,
            draft_vocab_size=size,
            heads=heads.heads,
            layers=heads.layers,
            taps=(model.layers,),
            own_output=heads.own_output and heads.kind != "blockwise",
            intermediate_size=(heads.width or model.hidden_size) if heads.kind == "blockwise" else None,
        )
        return made, (*taps, model.layers)
    made = HeadConfig(
        kind="eagle",
        base=base,
        draft_vocab_size=size,
        taps=taps,
        **layer_settings(model),
    )
    return made, (*taps, model.layers)


def eagle_taps(layers: int) -> tuple[int, int, int]:
    """Low, middle and high, as the reference implementation has them; nearer together in a model of few layers."""
    return min(2, layers - 1), layers // 2, max(layers - 3, 0)


def heads_to_start_from(folder: Path, config: HeadConfig, model: LoadedModel) -> Heads:
    """Trained heads of the shape that is asked for.

    Raises:
        RunError: HEADS_UNREADABLE or HEADS_MISMATCH.
    """
    known = load_heads(folder, model, kind=config.kind)
    if not (folder / WEIGHTS).is_file():
        reason = f"training goes on from heads that ptgflow has trained, and there is no {WEIGHTS}"
        raise RunError([HEADS_UNREADABLE(path=str(folder), reason=reason)])
    asked, there = config.model_dump(), known.config.model_dump()
    findings = [
        HEADS_MISMATCH(path=str(folder), what=name, want=asked[name], have=there[name])
        for name in _SHAPE
        if asked[name] != there[name]
    ]
    if findings:
        raise RunError(findings)
    return known


def draft_vocabulary(texts: Sequence[Answer], size: int, model: LoadedModel) -> Int[Tensor, " draft_vocab"]:
    """The commonest tokens of the answers, and the end tokens; the lowest ids where there are not enough."""
    counts = Counter(token for text in texts for token in text.token_ids)
    counts.update(dict.fromkeys(model.codec.eos_ids, 1 << 40))
    order = sorted(range(model.vocab_size), key=lambda token: (-counts[token], token))
    return torch.tensor(sorted(order[:size]), device=model.device)


def teacher_of(model: LoadedModel, ids: Int[Tensor, " draft_vocab"]) -> Teacher:
    """The target with a draft vocabulary."""
    drafted = torch.full((model.vocab_size,), -1, dtype=torch.long, device=model.device)
    drafted[ids] = torch.arange(len(ids), device=model.device)
    return Teacher(model=model, vocabulary=ids, output=model.output_rows(ids), drafted=drafted)


def whole_teacher(model: LoadedModel) -> Teacher:
    """The target, of which every token can be written."""
    return teacher_of(model, torch.arange(model.vocab_size, device=model.device))


def objective_of(spec: TrainSpec, config: HeadConfig, teacher: Teacher) -> HeadObjective:
    """The loss of a kind of heads."""
    made: HeadObjective
    if config.kind == "eagle":
        made = EagleObjective(config, teacher, steps=spec.heads.steps)
    elif config.kind == "gated_lora":
        made = GatedLoraObjective(config, teacher, anchors=spec.heads.anchors, seed=spec.seed)
    elif config.kind == "hydra":
        made = HydraObjective(config, teacher)
    elif config.kind == "blockwise":
        made = BlockwiseObjective(config, teacher, sub_loss=spec.heads.sub_loss, seed=spec.seed)
    else:
        made = MedusaObjective(config, teacher)
    made.network.to(teacher.model.device)
    return made
