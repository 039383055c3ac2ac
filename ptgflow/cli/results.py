"""Output files: one record a line, whole or not at all, and continued where an earlier run stopped."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM, OUTPUT_OF_ANOTHER_RUN
from ptgflow.errors import RunError


class LineFile:
    """A JSON Lines file that only ever holds whole lines.

    The file is made with its first line. A line that cannot be written completely (a full disk) is taken back.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        if path.is_dir():
            raise self._problem("write", "it is a folder")
        if not path.parent.is_dir():
            raise self._problem("write", f"the folder {str(path.parent)!r} does not exist")
        if path.exists() and not path.is_file():
            raise self._problem("write", "it is no regular file; without output= records of input= go to stdout")
        target = path if path.exists() else path.parent
        if not os.access(target, os.W_OK):
            raise self._problem("write", "no permission")

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line.

        Raises:
            RunError: FILE_PROBLEM; the lines before it are untouched.
        """
        line = (json.dumps(record, ensure_ascii=False) + "\n").encode()
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            end = os.fstat(self._descriptor).st_size
            self._write(line, end)
        except OSError as error:
            raise self._problem("write", error.strerror or str(error)) from error

    def _write(self, line: bytes, end: int) -> None:
        assert self._descriptor is not None, "opened by append"
        rest = line
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BaseException:
            if len(rest) < len(line):
                os.ftruncate(self._descriptor, end)
            raise

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _problem(self, action: str, reason: str) -> RunError:
        return RunError([FILE_PROBLEM(action=action, file=str(self.path), reason=reason)])


class ResultFile(LineFile):
    """The records of a run. Opening one that exists continues it."""

    def __init__(self, path: Path, run: Mapping[str, object]) -> None:
        """Open or prepare a file.

        Args:
            path: where; the folder must exist.
            run: the recipe, model and seed that every record of the file must have.

        Raises:
            RunError: it cannot be read or written, or it belongs to another run.
        """
        super().__init__(path)
        self._run = run
        self.finished: dict[str, str] = {}
        """Id -> input of the records that are there and whole."""
        if path.exists():
            self._continue()

    def _continue(self) -> None:
        """Take over what an earlier run finished. A cut-off last line, and records of failures, are removed."""
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise self._problem("read", error.strerror or str(error)) from error
        kept: list[bytes] = []
        for number, line in enumerate(lines, start=1):
            record = self._read(line, last=number == len(lines), number=number)
            if record is None or record.get("error") is not None:
                continue
            self._belongs(record)
            kept.append(line)
            self.finished[str(record.get("id"))] = str(record.get("prompt"))
        if len(kept) < len(lines):
            self._replace(kept)

    def _read(self, line: bytes, *, last: bool, number: int) -> dict[str, Any] | None:
        """A record; None for a last line that an interrupted write left behind."""
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or not line.endswith(b"\n"):
                raise ValueError("no whole record")
        except ValueError as error:
            if last and not line.endswith(b"\n"):
                return None
            raise self._problem("continue", f"line {number} is no record of a run") from error
        return record

    def _belongs(self, record: Mapping[str, Any]) -> None:
        if any(record.get(name) != value for name, value in self._run.items()):
            there = ", ".join(f"{name} {record.get(name)!r}" for name in self._run)
            here = ", ".join(f"{name} {value!r}" for name, value in self._run.items())
            raise RunError([OUTPUT_OF_ANOTHER_RUN(file=str(self.path), there=there, here=here)])

    def _replace(self, lines: list[bytes]) -> None:
        """Write the kept lines beside the file and rename, so that an interruption loses nothing."""
        beside = self.path.with_name(f"{self.path.name}.part")
        try:
            with beside.open("wb") as stream:
                stream.writelines(lines)
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(self.path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise self._problem("write", error.strerror or str(error)) from error
