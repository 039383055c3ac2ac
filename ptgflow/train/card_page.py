"""The card of what was trained as a person reads it, and both forms on disk."""

import json
from pathlib import Path
from typing import Final

from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM
from ptgflow.errors import RunError
from ptgflow.train.card import Facts
from ptgflow.train.measuring_edits import NOISE, ROUNDS
from ptgflow.train.objectives.levenshtein import HITS as EDIT_HITS
from ptgflow.train.oneshot import HITS


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
        *_begun(facts),
    ]
    return "Masked diffusion", "objective=mdm", rows


def _of_hastened(facts: Facts) -> tuple[str, str, Rows]:
    """Title, command, and what only adapters that need fewer steps have."""
    masked = facts["masked"]
    assert isinstance(masked, dict), "made above"
    beta = "" if masked["beta"] is None else f", beta {masked['beta']}"
    rows = [
        ("rank of the adapters", str(masked["rank"])),
        ("places of a window", str(masked["block_length"])),
        ("steps of the teacher in one of the student's", f"{masked['steps']}, of {masked['grid']} for a window"),
        ("divergence", f"{masked['divergence']}{beta}"),
        *_begun(facts),
    ]
    return "Masked diffusion in fewer steps", "objective=sdtt", rows


def _of_oneshot(facts: Facts) -> tuple[str, str, Rows]:
    """Title, command, and what only one-shot generation has."""
    own, longer = facts["oneshot"], facts["longer"]
    assert isinstance(own, dict), "made above"
    assert isinstance(longer, dict), "made above"
    rows = [
        ("decoder", str(own["decoder"])),
        ("rank of the adapters", str(own["rank"])),
        ("places of the window", str(own["window"])),
        (
            f"answers longer than {own['places']} tokens, {'cut there' if longer['cut'] else 'left out'}",
            str(longer["answers"]),
        ),
        ("share of windows whose length is told", str(own["told_lengths"])),
        *_begun(facts),
    ]
    return "One-shot generation", f"objective=oneshot decoder={own['decoder']}", rows


def _of_levenshtein(facts: Facts) -> tuple[str, str, Rows]:
    """Title, command, and what only policies of edits have."""
    own, found = facts["levenshtein"], facts["edits"]
    assert isinstance(own, dict), "made above"
    assert isinstance(found, dict), "made above"
    shares = {name: f"{100 * value:.1f} %" for name, value in found.items() if name != "texts"}
    rows = [
        ("read with adapters of SHA-256", str(own["adapters"])),
        ("hidden units", str(own["width"])),
        ("places of a window", str(own["window"])),
        ("most placeholders of a gap", str(own["most"])),
        ("how far a token is moved", str(own["reach"])),
        ("edits for each token in training", " to ".join(map(str, own["noise"]))),
        (
            f"deletions in {found['texts']} held-out answers, precision and recall at {NOISE} edits for each token",
            f"{shares['precision']}, {shares['recall']}",
        ),
        (
            "placeholders of a gap that are right, and where something is missing",
            f"{shares['counts']}, {shares['gaps']}",
        ),
        (f"lost tokens that {ROUNDS} rounds restore", shares["restored"]),
        ("edits to the text as it was that they save", shares["undone"]),
        (
            "texts without mistakes that no round touches, and their tokens that stay",
            f"{shares['unchanged']}, {shares['kept']}",
        ),
        *_begun(facts),
    ]
    return "Policies of edits", "objective=levenshtein", rows


def _begun(facts: Facts) -> Rows:
    """Where a run went on from."""
    start = facts["start"]
    if not isinstance(start, dict):
        return []
    return [("went on from", f"weights of SHA-256 {start['sha256']}, {start['tokens_learnt_from'] or '?'} tokens")]


_OF_KIND: Final = {
    "distill_draft": _of_a_draft,
    "masked": _of_masked,
    "sdtt": _of_hastened,
    "oneshot": _of_oneshot,
    "levenshtein": _of_levenshtein,
}
"""Of what is not a set of heads."""


def top1_of(kind: str | None) -> str:
    """What the shares are of that the training of a kind tells of."""
    return {
        "masked": "masked places",
        "sdtt": "masked places, the teacher's likeliest token",
        "oneshot": ", ".join(HITS),
        "levenshtein": ", ".join(EDIT_HITS),
    }.get(kind or "", "each position ahead")
