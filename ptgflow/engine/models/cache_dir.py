"""The cache folder: where it is, one process at a time, and folders that appear whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from safetensors import SafetensorError

from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM
from ptgflow.errors import RunError


def cache_folder() -> Path:
    """The folder that the environment variable PTGFLOW_CACHE names, or the platform's user cache folder."""
    named = os.environ.get("PTGFLOW_CACHE")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("ptgflow"))


def cached_folder(group: str, key: str, fill: Callable[[Path], None]) -> Path:
    """The folder `group/key` of the cache, filled by `fill` if it is not there yet.

    `fill` works on a temporary folder, which gets its name when it is complete; an exception of any kind removes it. A
    second process that wants the same folder waits for the first.

    Raises:
        RunError: FILE_PROBLEM, when the folder cannot be written.
    """
    final = cache_folder() / group / key
    if final.is_dir():
        return final
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with _locked(final.with_name(key + ".lock")):
            if not final.is_dir():
                _fill(final, fill)
    except (OSError, SafetensorError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        remedy = "free some space, or let the environment variable PTGFLOW_CACHE name a folder elsewhere"
        raise RunError([FILE_PROBLEM(action="write", file=str(final), reason=reason, help=remedy)]) from error
    return final


def _fill(final: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside `final` and rename it. The lock is held, so what a killed process left there is ours."""
    part = final.with_name(final.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        fill(part)
        part.rename(final)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file's lock; the system releases it when the process ends, however it ends."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
