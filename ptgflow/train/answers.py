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
from ptgflow.train.prompts import TrainingPrompt

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
    stopped: bool = False
    """Whether the prompt's stop string came next."""

    def ended(self, end_ids: frozenset[int]) -> bool:
        """Whether the answer is all that there is, and not what was written when there was no room for more."""
        return self.stopped or self.token_ids[-1] in end_ids


def answers_path(model: LoadedModel, max_tokens: int) -> Path:
    """The file of all greedy answers of a model of at most so many tokens; every data set shares it."""
    # Not the precision: answers of a bfloat16 pass serve as well, and a run elsewhere goes on with them.
    facts = [model.name, model.codec.fingerprint, model.parameters, max_tokens]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return cache_folder() / "answers" / f"{model.name}-{digest[:16]}.jsonl"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A prompt in tokens."""

    ids: tuple[int, ...]
    stop: str

    @property
    def name(self) -> str:
        """What its answer is called on disk."""
        said = json.dumps([self.ids, self.stop] if self.stop else self.ids)
        return hashlib.sha256(said.encode()).hexdigest()[:20]


def answers_of(model: LoadedModel, prompts: Sequence[TrainingPrompt], *, max_tokens: int, tell: Told) -> list[Answer]:
    """The target's greedy answers, in the order of the prompts; those that are on disk are not written again.

    Prompts that leave less than `max_tokens` of the model's context, or half of it, are left out, and so are those
    whose answer stops before its first token.

    Raises:
        RunError: FILE_PROBLEM, when the cache folder cannot be written.
    """
    path = answers_path(model, max_tokens)
    longest = min(model.context_length - max_tokens, model.context_length // 2)
    asked = [_Asked(model.codec.prompt((), text=one.text, prefix=one.prefix).token_ids, one.stop) for one in prompts]
    asked = [one for one in asked if len(one.ids) <= longest]
    known = _stored(path)
    missing = [one for one in dict.fromkeys(asked) if one.name not in known]
    if missing:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                for one, written, stopped in _written(model, missing, max_tokens, len(asked), tell):
                    known[one.name] = written, stopped
                    # Only where there is a stop string may it have ended the text.
                    line = [one.name, written, *([stopped] if one.stop else [])]
                    file.write(json.dumps(line, separators=(",", ":")) + "\n")
                    file.flush()
        except OSError as error:
            raise RunError([FILE_PROBLEM(action="write", file=str(path), reason=error.strerror or error)]) from error
    answers = [Answer(one.ids, *known[one.name]) for one in asked]
    return [one for one in answers if one.token_ids]


def _written(
    model: LoadedModel, prompts: Sequence[_Asked], max_tokens: int, of: int, tell: Told
) -> Iterator[tuple[_Asked, tuple[int, ...], bool]]:
    requests = [
        DecodeRequest(
            prompt_ids=one.ids, max_new_tokens=max_tokens, stop=(one.stop,) if one.stop else (), visible=False
        )
        for one in prompts
    ]
    tokens = done = 0
    for place, decoded in decoded_of(model, requests, rows=ROWS):
        ended = () if decoded.end_id is None else (decoded.end_id,)
        written = (*decoded.token_ids, *ended)
        tokens, done = tokens + len(written), done + 1
        yield prompts[place], written, decoded.finish_reason == "stop" and decoded.end_id is None
        tell(of - len(prompts) + done, of, tokens)


def _stored(path: Path) -> dict[str, tuple[tuple[int, ...], bool]]:
    """Tokens by name, and whether a stop string came next; a line left unfinished by a killed process is not there."""
    found: dict[str, tuple[tuple[int, ...], bool]] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                name, ids, *stopped = json.loads(line)
            except ValueError:
                continue
            found[name] = tuple(ids), stopped == [True]
    return found
