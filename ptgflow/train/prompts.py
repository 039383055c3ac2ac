"""Prompts to train on, read out of files of the kinds in which such data is published."""

import csv
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ptgflow.diagnostics.codes.runtime import EMPTY_PROMPT, FILE_PROBLEM
from ptgflow.errors import RunError
from ptgflow.train.files import files_of, json_lines, text_of

_PASSAGE: Final = 110
"""Words of running text that one prompt is about."""
_EACH: Final = 400
"""Most passages of one file: novels are long, and a head that has seen nothing else drafts for nothing else."""
_ABOUT: Final = (
    "Summarize: {}",
    "{}\n\nWhat is this text about?",
    "Rewrite this in simple modern English: {}",
    "{}\n\nWhat happens here, and to whom?",
    "List the main points of the following text.\n\n{}",
    "Continue this text: {}",
    "Translate into plain English: {}",
    "{}\n\nWrite three questions about this text, and answer them.",
)
"""What may be asked about running text: a draft head meets summaries, questions and rewritings more than novels."""


@dataclass(frozen=True, slots=True)
class TrainingPrompt:
    """What the target is asked, and between which marks its answer stands."""

    text: str
    prefix: str = ""
    """Opens the answer, which the target goes on with."""
    stop: str = ""
    """The answer ends before the first of these, where the target writes it; empty: nothing ends it but the target."""


def read_prompts(paths: Sequence[Path], *, seed: int) -> list[TrainingPrompt]:
    """All prompts of some files and folders, without repetitions, in an order that the seed decides.

    JSON Lines: what `prompt` or `question` says, the first of `turns`, or `instruction` with its first instance's
    input; beside it `prefix` may open the answer, and `stop` end it. CSV: the column `prompt`. Text files: passages,
    each with something that is asked about it.

    Raises:
        RunError: FILE_PROBLEM, BAD_INPUT_LINE or EMPTY_PROMPT.
    """
    found: dict[TrainingPrompt, None] = {}
    for file in files_of(paths, _READERS):
        found |= dict.fromkeys(_read(file, _READERS[file.suffix]))
    prompts = [prompt for prompt in found if prompt.text]
    if not prompts:
        raise RunError([EMPTY_PROMPT(what=f"the data in {', '.join(map(str, paths))}")])
    random.Random(seed).shuffle(prompts)
    return prompts


def _read(file: Path, read: Callable[[Path, str], Iterator[TrainingPrompt]]) -> list[TrainingPrompt]:
    try:
        return list(read(file, text_of(file)))
    except csv.Error as error:
        raise RunError([FILE_PROBLEM(action="read", file=str(file), reason=error)]) from error


def _lines(file: Path, text: str) -> Iterator[TrainingPrompt]:
    return json_lines(file, text, _prompt_of)


def _prompt_of(entry: Any) -> TrainingPrompt:
    if not isinstance(entry, dict):
        raise ValueError(f"it is a JSON {type(entry).__name__}, not an object")
    turns, instances = entry.get("turns"), entry.get("instances")
    words = entry.get("prompt") or entry.get("question") or (turns[0] if turns else None)
    if words is None and isinstance(entry.get("instruction"), str):
        more = instances[0].get("input", "") if instances else entry.get("input", "")
        words = f"{entry['instruction']}\n\n{more}".strip()
    if not isinstance(words, str):
        raise ValueError("it has none of prompt, question, turns and instruction")
    prefix, stop = (entry.get(name) or "" for name in ("prefix", "stop"))
    for name, said in (("prefix", prefix), ("stop", stop)):
        if not isinstance(said, str):
            raise ValueError(f"`{name}` is a JSON {type(said).__name__}, not a string")
    return TrainingPrompt(words.strip(), prefix, stop)


def _table(file: Path, text: str) -> Iterator[TrainingPrompt]:
    rows = csv.DictReader(text.splitlines(keepends=True))
    if "prompt" not in (rows.fieldnames or ()):
        raise RunError([FILE_PROBLEM(action="read", file=str(file), reason="it has no column `prompt`")])
    for row in rows:
        yield TrainingPrompt((row["prompt"] or "").strip())


def _passages(file: Path, text: str) -> Iterator[TrainingPrompt]:
    del file
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(text.split()))
    passages: list[str] = []
    words: list[str] = []
    for sentence in sentences:
        words += sentence.split()
        if len(words) >= _PASSAGE:
            passages.append(" ".join(words))
            words = []
    step = max(len(passages) // _EACH, 1)
    for number, passage in enumerate(passages[::step][:_EACH]):
        yield TrainingPrompt(_ABOUT[number % len(_ABOUT)].format(passage).strip())


_READERS: Final[dict[str, Callable[[Path, str], Iterator[TrainingPrompt]]]] = {
    ".jsonl": _lines,
    ".csv": _table,
    ".txt": _passages,
}
