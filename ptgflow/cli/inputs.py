"""What `run` works on: one request from the command line, or the lines of a file."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ptgflow.contracts import Message
from ptgflow.diagnostics import Diagnostic, Location
from ptgflow.diagnostics.codes.runtime import BAD_INPUT_LINE, EMPTY_PROMPT, FILE_PROBLEM, NO_INPUT
from ptgflow.errors import RunError
from ptgflow.executors.request import Ask
from ptgflow.recipe.schema import RecipeSpec

KEYS = ("prompt", "messages", "text", "canvas")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The requests of a run, and what was wrong with the lines that are none."""

    asks: tuple[Ask, ...]
    problems: tuple[Diagnostic, ...] = ()
    many: bool = False
    """Whether they came from a file."""


def read_inputs(spec: RecipeSpec) -> Inputs:
    """The requests that a configuration names.

    Raises:
        RunError: no input, several, an empty one, or a file that cannot be read.
    """
    path = spec.input or spec.data.path
    given = [name for name in KEYS if getattr(spec, name) is not None]
    given += ["input"] if spec.input else []
    given += ["data"] if spec.data.path else []
    options = "prompt='...', text='...', canvas='...', messages=[...], input=FILE.jsonl or data=NAME"
    if not given:
        raise RunError([NO_INPUT(reason="there is nothing to work on", options=options)])
    if len(given) > 1:
        names = " and ".join(f"{name}=" for name in given)
        raise RunError([NO_INPUT(reason=f"{names} were given at the same time", options=options)])
    if path is not None:
        return _read_file(_resolve(path))
    words = {name: getattr(spec, name) for name in ("prompt", "text", "canvas")}
    if given[0] != "messages" and not str(words[given[0]]).strip():
        raise RunError([EMPTY_PROMPT(Location(source="command line", place=f"{given[0]}="), what=given[0])])
    if given[0] == "messages" and not any(turn.content.strip() for turn in spec.conversation or ()):
        raise RunError([EMPTY_PROMPT(Location(source="command line", place="messages="), what="messages")])
    content = json.dumps([words, [(turn.role, turn.content) for turn in spec.conversation or ()]])
    # The id follows from the input, so that another request to the same output file is another record.
    name = hashlib.sha256(content.encode()).hexdigest()[:8]
    ask = Ask(id=name, messages=spec.conversation, prompt=spec.prompt, text=spec.text, canvas=spec.canvas)
    return Inputs(asks=(ask,))


def _resolve(path: str) -> Path:
    if path.startswith("pkg://"):
        return Path(str(files("ptgflow.recipes").joinpath(path.removeprefix("pkg://"))))
    return Path(path)


def _read_file(path: Path) -> Inputs:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RunError([FILE_PROBLEM(action="read", file=str(path), reason=error.strerror or error)]) from error
    asks: list[Ask] = []
    problems: list[Diagnostic] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            ask = _ask(line.removeprefix(b"\xef\xbb\xbf"), number)
            if str(ask.id) in seen:
                raise ValueError(f"its id {ask.id!r} stands on line {seen[str(ask.id)]} already")
        except ValueError as error:
            at = Location(source=str(path), line=number)
            problems.append(BAD_INPUT_LINE(at, line=number, file=str(path), reason=_reason(error)))
            continue
        seen[str(ask.id)] = number
        asks.append(ask)
    if not asks and not problems:
        raise RunError([EMPTY_PROMPT(Location(source=str(path)), what=f"the file {path}")])
    return Inputs(asks=tuple(asks), problems=tuple(problems), many=True)


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON ({error.msg} at column {error.colno})"
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def _ask(line: bytes, number: int) -> Ask:
    """One line as a request. Other keys than ours are left alone: data sets carry references and categories.

    Raises:
        ValueError: the line is no request; the text says why.
    """
    data = json.loads(line.decode("utf-8"))
    if not isinstance(data, dict):
        raise ValueError(f"it is a JSON {type(data).__name__}, not an object")
    if "turns" in data and not any(key in data for key in KEYS):
        turns = data["turns"]
        if not (isinstance(turns, list) and turns and isinstance(turns[0], str)):
            raise ValueError("its turns are no list of texts")
        data = {**data, "prompt": turns[0]}
    given = [key for key in KEYS if data.get(key) is not None]
    if len(given) != 1:
        raise ValueError(f"it has {' and '.join(given) if given else 'none'} of prompt, messages, text and canvas")
    key = data.get("id", data.get("question_id", number))
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise ValueError(f"its id {key!r} is neither text nor a whole number")
    if given[0] == "messages":
        return Ask(id=key, messages=_messages(data["messages"]))
    words = data[given[0]]
    if not isinstance(words, str):
        raise ValueError(f"its {given[0]} is a {type(words).__name__}, not text")
    if not words.strip():
        raise ValueError(f"its {given[0]} is empty")
    return Ask(id=key, prompt=data.get("prompt"), text=data.get("text"), canvas=data.get("canvas"))


def _messages(turns: Any) -> tuple[Message, ...]:
    if not isinstance(turns, Sequence) or isinstance(turns, str) or not turns:
        raise ValueError("its messages are no list")
    for turn in turns:
        if not (isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)):
            raise ValueError(f"a message has a role and a content, and {turn!r} has not")
    return tuple(Message(role=turn["role"], content=turn["content"]) for turn in turns)


def unfinished(inputs: Inputs, finished: dict[str, str]) -> Iterator[Ask]:
    """The requests that an output file does not hold yet.

    Args:
        inputs: all requests.
        finished: id -> input of the records that are there.

    Raises:
        RunError: an id that is there belongs to another input.
    """
    for ask in inputs.asks:
        there = finished.get(str(ask.id))
        if there is None:
            yield ask
        elif there != ask.shown:
            reason = f"the id {ask.id!r} is there already, with another input"
            raise RunError([FILE_PROBLEM(action="continue", file="output", reason=reason)])
