"""The flags that a command line may hold beside its overrides. Frozen by a test: everything else is an override."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn


class UsageError(Exception):
    """The command line itself is wrong; the text says how and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """A command line without its command."""

    overrides: tuple[str, ...] = ()
    multirun: bool = False
    config_dir: Path | None = None
    cfg: str | None = None
    """`job`, `hydra` or `all`: print the composed configuration and do nothing else."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n   help: {self.prog} --help")


def parse_arguments(command: str, argv: Sequence[str], *, summary: str, example: str) -> Arguments | None:
    """Split flags from overrides; None when the help was asked for and printed.

    Raises:
        UsageError: an unknown flag, or a `--config-dir` that is no folder.
    """
    parser = _Parser(
        prog=f"ptgflow {command}",
        description=f"{summary[:1].upper()}{summary[1:]}.",
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = {"explain": "CODE", "stages": "PARADIGM"}.get(command, "key=value")
    parser.add_argument("overrides", nargs="*", metavar=what, help=_OVERRIDES.get(command, "none"))
    if command in _FOLDERS:
        parser.add_argument("-cd", "--config-dir", type=Path, metavar="DIR", help="a folder with groups of your own")
    if command in _JOBS:
        parser.add_argument("-m", "--multirun", action="store_true", help="run every combination of values: seed=1,2,3")
        parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"), help="print the composed configuration")
    parser.set_defaults(config_dir=None, multirun=False, cfg=None)
    try:
        found = parser.parse_intermixed_args(list(argv))
    except SystemExit:
        return None
    if found.config_dir is not None and not found.config_dir.is_dir():
        raise UsageError(f"--config-dir {str(found.config_dir)!r} is no folder\n   help: give an existing folder")
    if found.overrides and command not in _OVERRIDES:
        raise UsageError(f"{command} takes no {found.overrides[0]!r}\n   help: write  ptgflow {command}")
    return Arguments(
        overrides=tuple(found.overrides), multirun=found.multirun, config_dir=found.config_dir, cfg=found.cfg
    )


_JOBS = ("run", "check", "plan", "calibrate", "train")
"""Commands that are configured."""

_FOLDERS = (*_JOBS, "bench", "recipes", "models")
"""Commands that read groups of configuration."""

_OVERRIDES = {
    "run": "recipe=NAME or FILE.yaml; one of prompt= text= canvas= messages= input=; output=FILE.jsonl; any option",
    "check": "recipe=NAME or FILE.yaml, and any option; format=json for tools",
    "plan": "recipe=NAME or FILE.yaml, and any option; format=text, json, mermaid or svg",
    "calibrate": "model=NAME and its fields, executor.threads=N; format=text or json",
    "train": "heads=NAME, objective=distill_draft, or the word retrieval; "
    "model=NAME, data=FILE or FOLDER, output=FOLDER, and any option; "
    "format=text or json",
    "bench": "recipes=[NAME,'NAME option=2,3',...] data=FILE; model=NAME and any option for all of them; limit=N, "
    "repeats=N, baseline=NAME or transformers, where={KEY: VALUE}, labels=FILE.csv, ids=[...], references=[FILE,...], "
    "output=FILE.json; format=text or json",
    "matrix": "format=text or json",
    "explain": "the code of a diagnostic, for example PTG101",
    "stages": "paradigms, for example mtp; none for all",
}
