"""Prompts that the model makes up: what it writes where a user's turn begins (Magpie, Xu et al., arXiv 2406.08464).

A model tuned on conversations has learnt what people ask it, and so knows of more kinds of prompts than any file.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ptgflow.contracts.settings import Sampling
from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM
from ptgflow.engine.models.cache_dir import cache_folder
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import DecodeRequest
from ptgflow.errors import RunError
from ptgflow.train.answers import ROWS, Told
from ptgflow.train.decoding import decoded_of

_LONGEST: Final = 160
"""Tokens of a prompt. What has no end by then has, as a rule, lost its thread."""
_SAMPLING: Final = Sampling(temperature=1.0, top_p=0.95)
_TRIES: Final = 4
"""Times as many turns as prompts that are wanted are begun at most: a model that ends none would go on for ever."""


def invented_prompts(model: LoadedModel, count: int, *, seed: int, tell: Told) -> list[str]:
    """At most `count` different prompts, which depend on the model and the seed alone; kept on disk for later runs.

    Turns that do not end within 160 tokens, or that were written before, are left out.

    Raises:
        RunError: NO_CHAT_TEMPLATE, or FILE_PROBLEM when the cache folder cannot be written.
    """
    opening = model.codec.user_turn()
    facts = [model.name, model.codec.fingerprint, model.parameters, seed, _LONGEST, _SAMPLING.model_dump()]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    path = cache_folder() / "prompts" / f"{model.name}-{digest[:16]}.jsonl"
    turns = _stored(path)
    found = _chosen(turns, count)
    while len(found) < count and len(turns) < _TRIES * count:
        # In lots of a fixed size, so that a later run which wants more begins with the same ones.
        lot = range(len(turns), len(turns) + 4 * ROWS)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                written = dict(_written(model, opening, seed, lot))
                turns += [written[number] for number in lot]
                file.writelines(json.dumps(written[number]) + "\n" for number in lot)
        except OSError as error:
            raise RunError([FILE_PROBLEM(action="write", file=str(path), reason=error.strerror or error)]) from error
        found = _chosen(turns, count)
        tell(len(found), count, 0)
    return found


def _chosen(turns: list[str], count: int) -> list[str]:
    return list(dict.fromkeys(turn for turn in turns if turn))[:count]


def _written(model: LoadedModel, opening: tuple[int, ...], seed: int, lot: range) -> Iterator[tuple[int, str]]:
    """What stands in each turn of a lot; nothing for one without an end."""
    requests = [
        DecodeRequest(
            prompt_ids=opening,
            max_new_tokens=_LONGEST,
            sampling=_SAMPLING,
            seed=seed * 1_000_003 + number,
            visible=False,
        )
        for number in lot
    ]
    for place, decoded in decoded_of(model, requests, rows=ROWS):
        yield lot[place], decoded.text.strip() if decoded.end_id is not None else ""


def _stored(path: Path) -> list[str]:
    """The turns of whole lots; a lot that a killed process left unfinished counts as not there."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = len(lines) - len(lines) % (4 * ROWS)
    if whole < len(lines):
        path.write_text("".join(lines[:whole]), encoding="utf-8")
    return [json.loads(line) for line in lines[:whole]]
