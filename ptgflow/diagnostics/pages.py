"""The page of a diagnostic, made from its rule and its tested examples: `ptgflow explain` and `docs/diagnostics/`."""

from dataclasses import dataclass, field
from importlib.resources import files

import yaml

from ptgflow.diagnostics.model import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A command line with the files that it reads. A bad one gives exactly its page's code, a good one none."""

    command: str
    files: dict[str, str] = field(default_factory=dict[str, str])
    setup: str = ""
    """Shell lines that make what a file of text cannot hold; run before the command, in the same folder."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """A bad and a good example."""

    bad: Example | None
    good: Example | None
    tested_by: str = ""
    """For codes that no command line can provoke: the test that does."""


def examples(rule: Rule) -> Examples:
    """The examples of a rule, from `examples/CODE.yaml` beside this module.

    Raises:
        FileNotFoundError: a code without examples (a mistake that the tests find).
    """
    text = files("ptgflow.diagnostics").joinpath("examples", f"{rule.code}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    bad, good = (Example(**data[side]) if side in data else None for side in ("bad", "good"))
    return Examples(bad=bad, good=good, tested_by=data.get("tested_by", ""))


def page(rule: Rule) -> str:
    """The page as Markdown."""
    found = examples(rule)
    parts = [f"# {rule.code}: {rule.slug}", f"*{rule.severity}*", rule.what, f"**Why it matters.** {rule.why}"]
    if found.bad is not None:
        parts += ["## An example of the mistake", _shown(found.bad)]
    if found.good is not None:
        parts += ["## Without it", _shown(found.good)]
    if found.tested_by:
        parts.append(f"No command line provokes this on purpose; it is tested by `{found.tested_by}`.")
    return "\n\n".join(parts) + "\n"


def _shown(example: Example) -> str:
    blocks = [example.note] if example.note else []
    for name, text in example.files.items():
        language = "yaml" if name.endswith(".yaml") else "json" if name.endswith(".jsonl") else ""
        blocks.append(f"`{name}`:\n\n```{language}\n{text.rstrip()}\n```")
    lines = [*example.setup.strip().splitlines(), example.command]
    blocks.append("```console\n" + "\n".join(f"$ {line}" for line in lines) + "\n```")
    return "\n\n".join(blocks)
