"""The file of a comparison: whole or not at all, and written anew as cases are finished."""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, final

from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM
from ptgflow.errors import RunError

_EVERY_S: Final = 10.0
"""Seconds between two times that an unfinished comparison is written."""


@final
class Keeper:
    """Writes what was measured to a file that was not there."""

    def __init__(self, path: Path) -> None:
        """See that the file can be written.

        Raises:
            RunError: FILE_PROBLEM.
        """
        self.path = path
        self._written = time.monotonic()
        if path.is_dir():
            raise self._problem("it is a folder")
        if path.exists():
            remedy = "choose another file with output=..., or remove that one"
            raise self._problem("there is a file of that name", help=remedy)
        if not path.parent.is_dir():
            raise self._problem(f"the folder {str(path.parent)!r} does not exist")
        if not os.access(path.parent, os.W_OK):
            raise self._problem("no permission")

    def now_and_then(self, facts: Callable[[], Mapping[str, Any]]) -> None:
        """Write what is there so far, if that was not done a moment ago."""
        if time.monotonic() - self._written > _EVERY_S:
            self.write(facts())

    def write(self, facts: Mapping[str, Any]) -> None:
        """Write beside the file and rename, so that an interruption loses nothing.

        Raises:
            RunError: FILE_PROBLEM.
        """
        beside = self.path.with_name(f"{self.path.name}.part")
        try:
            beside.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            beside.replace(self.path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise self._problem(error.strerror or str(error)) from error
        self._written = time.monotonic()

    def _problem(self, reason: str, help: str | None = None) -> RunError:
        return RunError([FILE_PROBLEM(action="write", file=str(self.path), reason=reason, help=help)])
