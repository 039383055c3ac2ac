"""The facts of the card of what was trained: what it was made from, and how good it is."""

import dataclasses
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from ptgflow.engine.costs.store import device_name
from ptgflow.engine.heads.config import Base
from ptgflow.engine.heads.loading import WEIGHTS
from ptgflow.engine.heads.target import base_of
from ptgflow.engine.models.digest import file_digest
from ptgflow.engine.models.model import LoadedModel
from ptgflow.train.distilling import Distilled
from ptgflow.train.edit_spec import LevenshteinSpec
from ptgflow.train.learning import Trained
from ptgflow.train.measuring import Acceptance
from ptgflow.train.measuring_edits import EditQuality
from ptgflow.train.objectives.levenshtein import LevenshteinObjective
from ptgflow.train.objectives.mdm import MdmObjective
from ptgflow.train.objectives.objective import HeadObjective, Objective
from ptgflow.train.objectives.oneshot import OneShotObjective
from ptgflow.train.objectives.sdtt import SdttObjective
from ptgflow.train.spec import DistillSpec, LearningSpec, MdmSpec, OneShotSpec, SdttSpec, TrainSpec

Facts = dict[str, object]


def facts_of_heads(
    spec: TrainSpec, model: LoadedModel, trained: Trained[HeadObjective], found: Sequence[Acceptance]
) -> Facts:
    """Everything that the card of heads says."""
    config = trained.objective.config
    return {
        "kind": config.kind,
        **_of_the_base(spec, config.base, trained),
        "draft_vocab_size": config.draft_vocab_size,
        "heads": spec.heads.own,
        "start": None if spec.start is None else _start(Path(spec.start)),
        **_of_the_run(spec, model, trained, found),
    }


def facts_of_draft(spec: DistillSpec, model: LoadedModel, made: Distilled, found: Sequence[Acceptance]) -> Facts:
    """Everything that the card of a draft model says."""
    return {
        "kind": "distill_draft",
        **_of_the_base(spec, base_of(model), made.trained),
        "student": {
            "layers": spec.student.layers,
            "hidden_size": made.student.network.config.hidden_size,
            "from_layers": list(made.student.layers),
        },
        "divergence": spec.divergence,
        "beta": spec.beta,
        "fixed_data": spec.fixed_data,
        **_of_the_run(spec, model, made.trained, found),
    }


def facts_of_masked(spec: MdmSpec, model: LoadedModel, trained: Trained[MdmObjective]) -> Facts:
    """Everything that the card of adapters for canvases says."""
    return {
        "kind": "masked",
        **_of_the_base(spec, trained.objective.config.base, trained),
        "masked": {
            "rank": spec.rank,
            "block_length": spec.block_length,
            "anchors": spec.anchors,
            "noise": list(spec.noise),
        },
        "start": None if spec.start is None else _start(Path(spec.start)),
        **_of_the_run(spec, model, trained, ()),
    }


def facts_of_hastened(spec: SdttSpec, model: LoadedModel, trained: Trained[SdttObjective]) -> Facts:
    """Everything that the card of adapters which need fewer steps says."""
    config = trained.objective.config
    return {
        "kind": "sdtt",
        **_of_the_base(spec, config.base, trained),
        "masked": {
            "rank": config.rank,
            "block_length": config.block_length,
            "anchors": spec.anchors,
            "steps": spec.steps,
            "grid": spec.grid,
            "divergence": spec.divergence,
            "beta": spec.beta,
        },
        "start": _start(Path(spec.start)),
        **_of_the_run(spec, model, trained, ()),
    }


def facts_of_oneshot(spec: OneShotSpec, model: LoadedModel, trained: Trained[OneShotObjective], longer: int) -> Facts:
    """Everything that the card of one-shot generation says; `longer` answers were longer than its window."""
    return {
        "kind": "oneshot",
        **_of_the_base(spec, trained.objective.config.base, trained),
        "oneshot": {
            "decoder": spec.decoder,
            "rank": spec.rank,
            "places": spec.places,
            "window": spec.window,
            "told_lengths": spec.told,
        },
        "start": None if spec.start is None else _start(Path(spec.start)),
        "longer": {"answers": longer, "cut": spec.longer == "cut"},
        **_of_the_run(spec, model, trained, ()),
    }


def facts_of_levenshtein(
    spec: LevenshteinSpec, model: LoadedModel, trained: Trained[LevenshteinObjective], found: EditQuality
) -> Facts:
    """Everything that the card of policies of edits says."""
    config = trained.objective.config
    return {
        "kind": "levenshtein",
        **_of_the_base(spec, config.base, trained),
        "levenshtein": {
            "adapters": config.adapters,
            **spec.model_dump(
                include={"width", "window", "most", "reach", "clean", "noise", "plausible", "slips", "versions"}
            ),
        },
        "edits": {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(found).items()
        },
        "start": None if spec.start is None else _start(Path(spec.start)),
        **_of_the_run(spec, model, trained, ()),
    }


def _of_the_base(spec: LearningSpec, base: Base, trained: Trained[Objective]) -> Facts:
    return {
        "base": {**base.model_dump(), "source": spec.model.source, "sha256": spec.model.sha256},
        "license": spec.model.license,
        "trained_parameters": sum(one.numel() for one in trained.objective.network.parameters()),
    }


def _of_the_run(
    spec: LearningSpec, model: LoadedModel, trained: Trained[Objective], found: Sequence[Acceptance]
) -> Facts:
    """What was learnt from, how it went, and what came of it."""
    schedule = spec.model_dump(
        include={"epochs", "batch_size", "rate", "warmup", "clip", "precision", "seed", "max_tokens"}
    )
    return {
        "data": [{"file": name, "sha256": digest} for name, digest in trained.data],
        "invented_prompts": spec.invent,
        "answers": trained.examples,
        "answer_tokens": trained.answer_tokens,
        "tokens_learnt_from": trained.tokens,
        "schedule": schedule,
        "first_loss": round(trained.first_loss, 4),
        "last_loss": round(trained.loss, 4),
        "top1": [round(hit, 4) for hit in trained.hits],
        "acceptance": [
            {
                "tree": one.tree,
                "nodes": one.nodes,
                "prompts": one.prompts,
                "tokens_per_round": round(one.tokens_per_round, 3),
            }
            for one in found
        ],
        "seconds": round(trained.seconds),
        "device": f"{device_name(model.device)}, {torch.get_num_threads()} threads",
        "versions": {"ptgflow": version("ptgflow"), "torch": torch.__version__, "python": platform.python_version()},
    }


def _start(folder: Path) -> Facts:
    """Which heads a run went on from, and what their own card says of their training."""
    card = folder / "card.json"
    said = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}
    return {
        "sha256": file_digest(folder / WEIGHTS),
        **{name: said.get(name) for name in ("answers", "answer_tokens", "tokens_learnt_from")},
    }
