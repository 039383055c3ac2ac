"""The card of what was trained: what it was made from, and how good it is, in JSON and in Markdown."""

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import torch

from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM
from ptgflow.engine.costs.store import device_name
from ptgflow.engine.heads.config import Base
from ptgflow.engine.heads.loading import WEIGHTS
from ptgflow.engine.heads.target import base_of
from ptgflow.engine.models.digest import file_digest
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError
from ptgflow.train.distilling import Distilled
from ptgflow.train.learning import Trained
from ptgflow.train.measuring import Acceptance
from ptgflow.train.objectives.mdm import MdmObjective
from ptgflow.train.objectives.objective import HeadObjective, Objective
from ptgflow.train.objectives.oneshot import OneShotObjective
from ptgflow.train.oneshot import HITS
from ptgflow.train.spec import DistillSpec, LearningSpec, MdmSpec, OneShotSpec, TrainSpec

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
        **_of_the_run(spec, model, trained, ()),
    }


def facts_of_oneshot(spec: OneShotSpec, model: LoadedModel, trained: Trained[OneShotObjective], left_out: int) -> Facts:
    """Everything that the card of one-shot generation says; `left_out` answers were too long."""
    return {
        "kind": "oneshot",
        **_of_the_base(spec, trained.objective.config.base, trained),
        "oneshot": spec.model_dump(include={"decoder", "rank", "places", "told_lengths", "length_weight"}),
        "start": None if spec.start is None else _start(Path(spec.start)),
        "left_out": left_out,
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


def save_card(folder: Path, facts: Facts) -> None:
    """Write `card.json` and `README.md`.

    Raises:
        RunError: FILE_PROBLEM, when the folder cannot be written.
    """
    try:
        (folder / "card.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(markdown(facts), encoding="utf-8")
    except OSError as error:
        raise RunError([FILE_PROBLEM(action="write", file=str(folder), reason=error.strerror or error)]) from error


def markdown(facts: Facts) -> str:
    """The card as a person reads it."""
    base, data, acceptance = facts["base"], facts["data"], facts["acceptance"]
    assert isinstance(base, dict), "made above"
    assert isinstance(data, list), "made above"
    assert isinstance(acceptance, list), "made above"
    top1 = facts["top1"]
    assert isinstance(top1, list), "made above"
    title, command, rows = _OF_KIND.get(str(facts["kind"]), _of_heads)(facts)
    lines = [
        f"# {title} for {base['name']}",
        "",
        f"Trained by `ptgflow train {command} model={base['name']}` on {facts['answers']} answers that the "
        f"base model itself wrote ({facts['answer_tokens']} tokens, greedy).",
        "",
        "| | |",
        "|---|---|",
        f"| base | {base['name']}, {base['source']} |",
        f"| SHA-256 of the base | {base['sha256'] or 'not known'} |",
        f"| trained parameters | {facts['trained_parameters']} |",
        *(f"| {name} | {said} |" for name, said in rows),
        f"| tokens learnt from, over all epochs | {facts['tokens_learnt_from']} |",
        f"| loss, first and last | {facts['first_loss']}, {facts['last_loss']} |",
        f"| top-1 of {top1_of(str(facts['kind']))} | {', '.join(f'{100 * hit:.1f} %' for hit in top1)} |",
        f"| time | {facts['seconds']} s |",
        f"| device | {facts['device']} |",
        "",
        *(_table(acceptance) if acceptance else ()),
        "Prompts came from:",
        "",
        *(f"- {one['file']}, SHA-256 {one['sha256']}" for one in data),
        *([f"- {facts['invented_prompts']} that the base model made up itself"] if facts["invented_prompts"] else []),
    ]
    return "\n".join(lines) + "\n"


def _table(acceptance: list[dict[str, object]]) -> list[str]:
    return [
        "Greedy decoding of prompts that this run was not trained on:",
        "",
        "| tree | nodes a round | prompts | tokens a round |",
        "|---|---|---|---|",
        *(f"| {one['tree']} | {one['nodes']} | {one['prompts']} | {one['tokens_per_round']} |" for one in acceptance),
        "",
    ]


Rows = list[tuple[str, str]]


def _of_heads(facts: Facts) -> tuple[str, str, Rows]:
    """Title, command, and what only heads have."""
    base = facts["base"]
    assert isinstance(base, dict), "made above"
    rows = [("tokens that can be drafted", f"{facts['draft_vocab_size']} of {base['vocab_size']}"), *_begun(facts)]
    return f"{str(facts['kind']).capitalize()} heads", f"heads={facts['kind']}", rows


def _of_a_draft(facts: Facts) -> tuple[str, str, Rows]:
    """Title, command, and what only a draft model has."""
    student = facts["student"]
    assert isinstance(student, dict), "made above"
    kept = ", ".join(map(str, student["from_layers"]))
    beta = "" if facts["beta"] is None else f", beta {facts['beta']}"
    rows = [
        ("layers, width", f"{student['layers']}, {student['hidden_size']}"),
        ("started from", f"layers {kept} of the base, and its embedding" if kept else "random weights"),
        ("divergence", f"{facts['divergence']}{beta}"),
        ("share of steps on the base's answers", f"{facts['fixed_data']}; the others on the draft model's own"),
    ]
    return "Draft model", "objective=distill_draft", rows


def _of_masked(facts: Facts) -> tuple[str, str, Rows]:
    """Title, command, and what only adapters for canvases have."""
    masked = facts["masked"]
    assert isinstance(masked, dict), "made above"
    rows = [
        ("rank of the adapters", str(masked["rank"])),
        ("places of a window", str(masked["block_length"])),
        ("windows of an answer in a step", str(masked["anchors"])),
        ("share of a window that is masked", " to ".join(map(str, masked["noise"]))),
    ]
    return "Masked diffusion", "objective=mdm", rows


def _of_oneshot(facts: Facts) -> tuple[str, str, Rows]:
    """Title, command, and what only one-shot generation has."""
    own = facts["oneshot"]
    assert isinstance(own, dict), "made above"
    rows = [
        ("decoder", str(own["decoder"])),
        ("rank of the adapters", str(own["rank"])),
        ("places of the window", str(own["places"])),
        ("answers left out, which are longer", str(facts["left_out"])),
        ("share of windows whose length is told", str(own["told_lengths"])),
        *_begun(facts),
    ]
    return "One-shot generation", f"objective=oneshot decoder={own['decoder']}", rows


def _begun(facts: Facts) -> Rows:
    """Where a run went on from."""
    start = facts["start"]
    if not isinstance(start, dict):
        return []
    return [("went on from", f"heads of SHA-256 {start['sha256']}, {start['tokens_learnt_from'] or '?'} tokens")]


_OF_KIND: Final = {"distill_draft": _of_a_draft, "masked": _of_masked, "oneshot": _of_oneshot}
"""Of what is not a set of heads."""


def top1_of(kind: str | None) -> str:
    """What the shares are of that the training of a kind tells of."""
    return {"masked": "masked places", "oneshot": ", ".join(HITS)}.get(kind or "", "each position ahead")
