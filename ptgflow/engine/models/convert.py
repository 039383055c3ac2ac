"""GGUF files become ordinary checkpoints once, in the cache, because reading and de-quantising one takes seconds."""

from pathlib import Path
from typing import Final

from ptgflow.contracts import ModelCard
from ptgflow.diagnostics.codes.runtime import SOURCE_NOT_FOUND
from ptgflow.engine.models.cache_dir import cached_folder
from ptgflow.engine.models.digest import check_digest, file_digest
from ptgflow.engine.models.gguf_file import GGUFError, read_gguf
from ptgflow.engine.models.progress import Progress
from ptgflow.engine.models.quiet import quiet
from ptgflow.errors import RunError

CONVERTER: Final = 1
"""Raised whenever the same GGUF file would be converted to something else."""


def converted(card: ModelCard, path: Path, tell: Progress, *, check: bool = False) -> Path:
    """The checkpoint folder made from a GGUF file: fp32 safetensors, configuration and tokenizer.

    Args:
        card: the card, for messages and, with `check`, for the checksum of the file.
        path: the GGUF file.
        tell: is told about a conversion, in bytes of the file.
        check: the card's checksum is of this file.

    Raises:
        RunError: SOURCE_NOT_FOUND (no such file, or damaged), CHECKSUM_MISMATCH, UNSUPPORTED_MODEL, FILE_PROBLEM.
    """
    try:
        digest = file_digest(path)
    except OSError as error:
        raise _not_found(card, error.strerror or str(error)) from error
    if check:
        check_digest(card, path, digest)

    def fill(folder: Path) -> None:
        with quiet():
            try:
                network, tokenizer = read_gguf(card, path, tell)
            except GGUFError as problem:
                raise _not_found(card, str(problem)) from problem
            tokenizer.save_pretrained(folder)
            network.save_pretrained(folder)

    return cached_folder("converted", f"{digest[:32]}-{CONVERTER}", fill)


def _not_found(card: ModelCard, reason: str) -> RunError:
    return RunError([SOURCE_NOT_FOUND(model=card.name, source=card.source, reason=reason)])
