"""SHA-256 of a file, compared with what a card declares."""

import hashlib
from pathlib import Path

from ptgflow.contracts import ModelCard
from ptgflow.diagnostics.codes.runtime import CHECKSUM_MISMATCH
from ptgflow.errors import RunError


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content, as hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(card: ModelCard, path: Path, found: str) -> None:
    """Compare a file's checksum with the card's, if the card declares one.

    Raises:
        RunError: CHECKSUM_MISMATCH.
    """
    if card.sha256 is not None and card.sha256 != found:
        finding = CHECKSUM_MISMATCH(file=path.name, model=card.name, found=found, have=found, want=card.sha256)
        raise RunError([finding])
