"""What is kept on disk while an objective lives, because computing it is most of a step."""

import os
import tempfile
import weakref
from pathlib import Path
from typing import final

from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM
from ptgflow.errors import RunError


@final
class KeptFile:
    """Bytes by where they begin. The file has no name any more once it is open, so nothing ever stays behind."""

    def __init__(self, folder: Path, what: str) -> None:
        """Open a file in a folder.

        Args:
            folder: made if it is not there.
            what: is kept, for messages.

        Raises:
            RunError: FILE_PROBLEM, when the folder cannot be written.
        """
        self._name = str(folder / what)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file, path = tempfile.mkstemp(dir=folder)
            os.unlink(path)
        except OSError as error:
            raise self._problem(error) from error
        weakref.finalize(self, os.close, self._file)
        self._end = 0

    def append(self, data: bytes) -> int:
        """Keep some bytes; where they begin.

        Raises:
            RunError: FILE_PROBLEM, when the disk is full.
        """
        try:
            os.pwrite(self._file, data, self._end)
        except OSError as error:
            raise self._problem(error) from error
        self._end += len(data)
        return self._end - len(data)

    def read(self, begin: int, size: int) -> bytearray:
        """So many bytes."""
        data = bytearray(size)
        os.preadv(self._file, [data], begin)
        return data

    def _problem(self, error: OSError) -> RunError:
        return RunError([FILE_PROBLEM(action="write", file=self._name, reason=error.strerror or error)])
