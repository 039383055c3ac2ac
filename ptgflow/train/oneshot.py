"""Training of one-shot generation: what it is, what it learns from, and the run."""

import dataclasses
from pathlib import Path
from typing import Final

import torch

from ptgflow.diagnostics.codes.runtime import HEADS_MISMATCH, NO_SHORT_ANSWERS
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.gated_model import written_of
from ptgflow.engine.heads.loading import load_heads, said_kind
from ptgflow.engine.heads.target import base_of, layer_sizes
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.oneshot.network import OneShotNet
from ptgflow.errors import RunError
from ptgflow.train.answers import Answer, answers_of
from ptgflow.train.job import whole_teacher
from ptgflow.train.learning import AnswersOf, Material, Trained, Watcher, gathered, learned
from ptgflow.train.objectives.oneshot import OneShotObjective
from ptgflow.train.spec import OneShotSpec

HITS: Final = ("tokens", "whole answers", "lengths")
"""What the shares are of that training reports."""


def train_oneshot(
    spec: OneShotSpec, model: LoadedModel, watch: Watcher, *, answers: AnswersOf = answers_of
) -> tuple[Trained[OneShotObjective], int]:
    """Train a mask token, adapters and heads; and how many answers were longer than a window holds.

    Raises:
        RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out; data that cannot be read or has no short
            answers, a folder that cannot be read or written, or a checkpoint of another run.
        KeyboardInterrupt: somebody wanted to stop; the checkpoint is written.
    """
    written_of(model)
    config = HeadConfig(
        kind="oneshot",
        base=base_of(model),
        draft_vocab_size=model.vocab_size,
        taps=(),
        own_output=False,
        rank=spec.rank,
        block_length=spec.window,
        decoder=spec.decoder,
        **layer_sizes(model),
    )
    teacher = whole_teacher(model)
    torch.manual_seed(spec.seed)
    weight = 0.1 if spec.length_weight is None else spec.length_weight
    objective = OneShotObjective(
        config,
        teacher,
        told_lengths=spec.told,
        length_weight=weight,
        seed=spec.seed,
        kept=Path(spec.output) if spec.keep_prompts else None,
    )
    if spec.start is not None:
        begin_with(Path(spec.start), objective.network, model)
    material, longer = _short(gathered(spec, model, (), watch, answers=answers), spec, model)
    all_of_them = len(material.answers) + (0 if spec.longer == "cut" else longer)
    watch.stage("answers that are learnt from", len(material.answers), all_of_them)
    objective.network.to(model.device)
    return learned(spec, model, material, objective, teacher, watch, what=config.model_dump_json()), longer


def begin_with(folder: Path, network: OneShotNet, model: LoadedModel) -> None:
    """Take over what was trained before: of heads for the same decoder everything, and otherwise mask and adapters.

    Raises:
        RunError: HEADS_UNREADABLE, HEADS_MISMATCH or UNSAFE_WEIGHTS.
    """
    kind = "oneshot" if said_kind(folder) == "oneshot" else "masked"
    known = load_heads(folder, model, kind=kind)
    there, here, tensors = known.config, network.config, known.tensors
    facts = [("rank", here.rank, there.rank)]
    if there.decoder == here.decoder:
        facts.append(("number of places", here.block_length, there.block_length))
    else:
        tensors = {name: one for name, one in tensors.items() if name == "masks" or name.startswith("layers.")}
    findings = [
        HEADS_MISMATCH(path=str(folder), what=what, want=str(want), have=str(have))
        for what, want, have in facts
        if want != have
    ]
    if findings:
        raise RunError(findings)
    network.load_state_dict({**network.state_dict(), **tensors})


def _short(material: Material, spec: OneShotSpec, model: LoadedModel) -> tuple[Material, int]:
    """The answers that a window holds, or of others what it holds of them; and how many there are of those.

    Raises:
        RunError: NO_SHORT_ANSWERS.
    """
    ends = model.codec.eos_ids

    def fits(answer: Answer) -> bool:
        tokens = len(answer.token_ids) - (answer.token_ids[-1] in ends)
        return answer.ended(ends) and 1 <= tokens <= spec.places

    def cut(answer: Answer) -> Answer:
        return answer if fits(answer) else dataclasses.replace(answer, token_ids=answer.token_ids[: spec.places])

    some = [one for one in material.answers if one.token_ids]
    longer = sum(not fits(one) for one in some)
    kept = tuple(cut(one) for one in some) if spec.longer == "cut" else tuple(one for one in some if fits(one))
    if not kept:
        raise RunError([NO_SHORT_ANSWERS(answers=len(material.answers), places=spec.places, more=2 * spec.places)])
    return dataclasses.replace(material, answers=kept), longer
