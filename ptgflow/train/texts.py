"""Texts for a datastore, read out of files of the kinds in which such data is published."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

from ptgflow.train.files import json_lines, text_of

PLAIN: Final = (".txt", ".md", ".py")
"""Files that are one text each."""
LINES: Final = ".jsonl"
KINDS: Final = (*PLAIN, LINES)
"""All that can be read."""
FIELDS: Final = ("text", "answer", "answers", "response", "output", "completion", "content", "value")
"""What may hold a text in an object; `content` and `value` are those of turns."""
TURNS: Final = ("messages", "conversations", "turns")
"""What may hold several turns: objects with a text, or texts."""


def texts_of(file: Path) -> Iterator[str]:
    """The texts of a file: the whole of it, or what each line of a `.jsonl` has in a field of a known name.

    Raises:
        RunError: FILE_PROBLEM or BAD_INPUT_LINE.
    """
    text = text_of(file)
    found = [text] if file.suffix != LINES else chain.from_iterable(json_lines(file, text, _told))
    return (one for one in found if one.strip())


def _told(entry: Any) -> list[str]:
    found = list(_texts(entry))
    if not found:
        raise ValueError(f"it has none of {', '.join((*FIELDS, *TURNS))}")
    return found


def _texts(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, list):
        for one in entry:
            yield from _texts(one)
    elif isinstance(entry, dict):
        for name in (*FIELDS, *TURNS):
            if name in entry:
                yield from _texts(entry[name])
