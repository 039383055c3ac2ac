"""Files of a person's own, read with a clear word where they are not what they should be."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ptgflow.diagnostics.codes.runtime import BAD_INPUT_LINE, FILE_PROBLEM
from ptgflow.errors import RunError

T = TypeVar("T")


def files_of(paths: Sequence[Path], kinds: Collection[str]) -> list[Path]:
    """The files that are named, and those of a known kind in the folders that are; each once.

    Args:
        paths: files and folders.
        kinds: the ends of names that are known, each with its dot.

    Raises:
        RunError: FILE_PROBLEM, for what is not there, or a file of another kind.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found |= dict.fromkeys(one for one in sorted(path.rglob("*")) if one.suffix in kinds)
        elif path.suffix not in kinds:
            reason = f"it is none of {', '.join(kinds)}" if path.exists() else "there is no such file or folder"
            raise RunError([FILE_PROBLEM(action="read", file=str(path), reason=reason)])
        else:
            found[path] = None
    return list(found)


def text_of(file: Path) -> str:
    """All of a text file.

    Raises:
        RunError: FILE_PROBLEM.
    """
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise RunError([FILE_PROBLEM(action="read", file=str(file), reason=error.strerror or error)]) from error
    except UnicodeDecodeError as error:
        raise RunError([FILE_PROBLEM(action="read", file=str(file), reason="it is not UTF-8 text")]) from error


def json_lines(file: Path, text: str, read: Callable[[Any], T]) -> Iterator[T]:
    """What is read out of the JSON value of each line that is not empty.

    Args:
        file: where the lines are from.
        text: all of them.
        read: may refuse a value with a ValueError.

    Raises:
        RunError: BAD_INPUT_LINE.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield read(json.loads(line))
        except ValueError as error:
            raise RunError([BAD_INPUT_LINE(line=number, file=str(file), reason=error)]) from error
