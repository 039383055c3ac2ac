"""Answers of the target to the prompts: what a head is trained to foresee, written once and kept on disk."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM
from ptgflow.engine.models.cache_dir import cache_folder
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import DecodeRequest
from ptgflow.errors import RunError
from ptgflow.train.decoding import decoded_of

ROWS: Final = 24
"""Rows of a pass: more would write hardly faster on a processor."""
Told = Callable[[int, int, int], None]
"""Is told how many answers are there, of how many, and the tokens written since the start."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A prompt and what the target wrote after it."""

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    """With the end token, where it wrote one."""


def answers_path(model: LoadedModel, max_tokens: int) -> Path:
    """The file of all greedy answers of a model of at most so many tokens; every data set shares it."""
    # Not the precision: answers of a bfloat16 pass serve as well, and a run elsewhere goes on with them.
    facts = [model.name, model.codec.fingerprint, model.parameters, max_tokens]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return cache_folder() / "answers" / f"{model.name}-{digest[:16]}.jsonl"


def answers_of(model: LoadedModel, prompts: Sequence[str], *, max_tokens: int, tell: Told) -> list[Answer]:
    """The target's greedy answers, in the order of the prompts; those that are on disk are not written again.

    Prompts that leave less than `max_tokens` of the model's context, or half of it, are left out.

    Raises:
        RunError: FILE_PROBLEM, when the cache folder cannot be written.
    """
    path = answers_path(model, max_tokens)
    longest = min(model.context_length - max_tokens, model.context_length // 2)
    asked = [model.codec.prompt((), text=prompt).token_ids for prompt in prompts]
    asked = [ids for ids in asked if len(ids) <= longest]
    known = _stored(path)
    missing = [ids for ids in dict.fromkeys(asked) if _name(ids) not in known]
    if missing:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                for ids, written in _written(model, missing, max_tokens, len(asked), tell):
                    known[_name(ids)] = written
                    file.write(json.dumps([_name(ids), written], separators=(",", ":")) + "\n")
                    file.flush()
        except OSError as error:
            raise RunError([FILE_PROBLEM(action="write", file=str(path), reason=error.strerror or error)]) from error
    return [Answer(ids, known[_name(ids)]) for ids in asked]


def _written(
    model: LoadedModel, prompts: Sequence[tuple[int, ...]], max_tokens: int, of: int, tell: Told
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    requests = [DecodeRequest(prompt_ids=ids, max_new_tokens=max_tokens, visible=False) for ids in prompts]
    tokens = done = 0
    for place, decoded in decoded_of(model, requests, rows=ROWS):
        ended = () if decoded.end_id is None else (decoded.end_id,)
        written = (*decoded.token_ids, *ended)
        tokens, done = tokens + len(written), done + 1
        yield prompts[place], written
        tell(of - len(prompts) + done, of, tokens)


def _name(ids: Sequence[int]) -> str:
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:20]


def _stored(path: Path) -> dict[str, tuple[int, ...]]:
    """What the file holds; a line that a killed process left unfinished counts as not there."""
    found: dict[str, tuple[int, ...]] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                name, ids = json.loads(line)
            except ValueError:
                continue
            found[name] = tuple(ids)
    return found
