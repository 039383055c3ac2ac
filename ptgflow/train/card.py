"""The card of trained heads: what they were made from, and how good they are, in JSON and in Markdown."""

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM
from ptgflow.engine.costs.store import device_name
from ptgflow.engine.heads.loading import WEIGHTS
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError
from ptgflow.train.job import Trained
from ptgflow.train.measuring import Acceptance
from ptgflow.train.spec import TrainSpec

Facts = dict[str, object]


def facts_of(spec: TrainSpec, model: LoadedModel, trained: Trained, found: tuple[Acceptance, ...]) -> Facts:
    """Everything that the card says."""
    config = trained.objective.config
    schedule = spec.model_dump(
        include={"epochs", "batch_size", "rate", "warmup", "clip", "precision", "seed", "max_tokens"}
    )
    return {
        "kind": config.kind,
        "base": {**config.base.model_dump(), "source": spec.model.source, "sha256": spec.model.sha256},
        "license": spec.model.license,
        "trained_parameters": sum(one.numel() for one in trained.objective.network.parameters()),
        "draft_vocab_size": config.draft_vocab_size,
        "heads": spec.heads.own,
        "data": [{"file": name, "sha256": digest} for name, digest in trained.data],
        "invented_prompts": spec.invent,
        "start": None if spec.start is None else _start(Path(spec.start)),
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
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    return {"sha256": digest, **{name: said.get(name) for name in ("answers", "answer_tokens", "tokens_learnt_from")}}


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
    top1, start = facts["top1"], facts["start"]
    assert isinstance(top1, list), "made above"
    lines = [
        f"# {str(facts['kind']).capitalize()} heads for {base['name']}",
        "",
        f"Trained by `ptgflow train heads={facts['kind']} model={base['name']}` on {facts['answers']} answers that the "
        f"base model itself wrote ({facts['answer_tokens']} tokens, greedy).",
        "",
        "| | |",
        "|---|---|",
        f"| base | {base['name']}, {base['source']} |",
        f"| SHA-256 of the base | {base['sha256'] or 'not known'} |",
        f"| trained parameters | {facts['trained_parameters']} |",
        f"| tokens that can be drafted | {facts['draft_vocab_size']} of {base['vocab_size']} |",
        *(
            [f"| went on from | heads of SHA-256 {start['sha256']}, {start['tokens_learnt_from'] or '?'} tokens |"]
            if isinstance(start, dict)
            else []
        ),
        f"| tokens learnt from, over all epochs | {facts['tokens_learnt_from']} |",
        f"| loss, first and last | {facts['first_loss']}, {facts['last_loss']} |",
        f"| top-1 of each position ahead | {', '.join(f'{100 * hit:.1f} %' for hit in top1)} |",
        f"| time | {facts['seconds']} s |",
        f"| device | {facts['device']} |",
        "",
        "Greedy decoding of prompts that this run was not trained on:",
        "",
        "| tree | nodes a round | prompts | tokens a round |",
        "|---|---|---|---|",
        *(f"| {one['tree']} | {one['nodes']} | {one['prompts']} | {one['tokens_per_round']} |" for one in acceptance),
        "",
        "Prompts came from:",
        "",
        *(f"- {one['file']}, SHA-256 {one['sha256']}" for one in data),
        *([f"- {facts['invented_prompts']} that the base model made up itself"] if facts["invented_prompts"] else []),
    ]
    return "\n".join(lines) + "\n"
