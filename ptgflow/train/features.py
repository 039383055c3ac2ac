"""Hidden states of the target over its answers, computed once and kept on disk for all epochs and kinds of heads."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM
from ptgflow.engine.models.cache_dir import cache_folder
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.interface import ModelPass
from ptgflow.engine.slots import RowInput
from ptgflow.errors import RunError
from ptgflow.train.answers import Answer

LONGEST = 512
"""Tokens of prompt and answer that are kept, the last ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One answer with the target's states over it."""

    tokens: Int[Tensor, " positions"]
    start: int
    """Where the answer starts."""
    states: Float[Tensor, "positions features"]
    """In bfloat16: at each tap side by side."""


def states_over(run: ModelPass, tokens: Sequence[int], taps: Sequence[int]) -> Float[Tensor, "positions features"]:
    """The target's states over a text, at each tap side by side."""
    row = run.cache.admit()
    try:
        return run.tapped([RowInput(row=row, tokens=tuple(tokens), wanted=False)], taps).states
    finally:
        run.cache.free(row)


@final
class FeatureStore:
    """An append-only file of states, and an index with a line for each answer. A later run goes on with both."""

    def __init__(self, model: LoadedModel, taps: Sequence[int]) -> None:
        """Open the store of a model and its taps."""
        facts = [model.name, model.codec.fingerprint, model.parameters, model.dtype, list(taps), LONGEST]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
        self._model, self._taps = model, tuple(taps)
        self._states: Path = cache_folder() / "features" / f"{model.name}-{digest}.bin"
        self._index = self._states.with_suffix(".jsonl")
        self._size = len(taps) * model.hidden_size
        self._at: dict[str, int] = {}
        """Answer -> the first line of its states in the file."""
        if self._index.is_file():
            for line in self._index.read_text(encoding="utf-8").splitlines():
                name, at = json.loads(line) if line.endswith("]") else (None, 0)
                if name is not None:
                    self._at[name] = at

    def fill(self, answers: Sequence[Answer], tell: Callable[[int, int], None]) -> None:
        """Compute what is not there yet.

        Raises:
            RunError: FILE_PROBLEM, when the cache folder cannot be written.
        """
        missing = [one for one in answers if _name(one) not in self._at]
        if not missing:
            return
        run = self._model.open_pass()
        try:
            self._states.parent.mkdir(parents=True, exist_ok=True)
            with self._states.open("ab") as states, self._index.open("a", encoding="utf-8") as index:
                for number, answer in enumerate(missing):
                    tell(len(answers) - len(missing) + number, len(answers))
                    found = states_over(run, _kept(answer), self._taps)
                    # A write that was cut short leaves half a line: go on behind it.
                    at = -(-states.tell() // (2 * self._size))
                    states.write(b"\0" * (at * 2 * self._size - states.tell()))
                    states.write(found.to("cpu", torch.bfloat16).view(torch.int16).numpy().tobytes())
                    states.flush()
                    index.write(json.dumps([_name(answer), at]) + "\n")
                    index.flush()
                    self._at[_name(answer)] = at
        except OSError as error:
            file = str(self._states)
            raise RunError([FILE_PROBLEM(action="write", file=file, reason=error.strerror or error)]) from error

    def read(self, answer: Answer) -> Example:
        """An answer that was filled in, with its states mapped from the file."""
        ids = _kept(answer)
        at = self._at[_name(answer)] * self._size
        count = len(ids) * self._size
        states = torch.from_file(str(self._states), size=at + count, dtype=torch.bfloat16)[at:]
        # Of an answer that is longer than what is kept, the first token that is there is the context of the others.
        start = max(len(ids) - len(answer.token_ids), 1)
        return Example(torch.tensor(ids), start, states.view(len(ids), self._size))


@final
class TextStore:
    """The same for who learns from tokens alone."""

    def read(self, answer: Answer) -> Example:
        """An answer, with states of no numbers."""
        ids = _kept(answer)
        start = max(len(ids) - len(answer.token_ids), 1)
        return Example(torch.tensor(ids), start, torch.zeros(len(ids), 0))


def _kept(answer: Answer) -> tuple[int, ...]:
    return (*answer.prompt_ids, *answer.token_ids)[-LONGEST:]


def _name(answer: Answer) -> str:
    return hashlib.sha256(json.dumps([answer.prompt_ids, answer.token_ids]).encode()).hexdigest()[:20]
