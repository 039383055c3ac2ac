"""Where models come from: a card's `source` becomes a checkpoint folder on this machine."""

import re
from pathlib import Path
from typing import Final, final

from ptgflow.contracts import ModelCard
from ptgflow.diagnostics.codes.runtime import SOURCE_NOT_FOUND
from ptgflow.engine.models.convert import converted
from ptgflow.engine.models.hub import hub_folder
from ptgflow.engine.models.progress import Progress
from ptgflow.engine.models.wheel import WHEEL_PREFIX, wheel_member
from ptgflow.errors import RunError

_HUB_ID: Final = re.compile(r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w][\w./-]*))?")


@final
class Tiny:
    """Stands for the model that is made in memory."""


TINY: Final = Tiny()


def resolve(card: ModelCard, tell: Progress) -> Path | Tiny:
    """The folder with the card's configuration, safetensors weights and tokenizer, fetched and converted if need be.

    Raises:
        RunError: SOURCE_NOT_FOUND, CHECKSUM_MISMATCH or FILE_PROBLEM.
    """
    source = card.source
    if source == "tiny":
        return TINY
    if source.startswith(WHEEL_PREFIX):
        return converted(card, wheel_member(card, tell), tell)
    path = Path(source).expanduser()
    if path.suffix == ".gguf":
        return converted(card, path, tell, check=True)
    if path.is_dir():
        return path
    found = _HUB_ID.fullmatch(source)
    if found is None:
        reason = "there is no such folder, and it is no hub id ORG/NAME, no .gguf file and no wheel:..."
        raise RunError([SOURCE_NOT_FOUND(model=card.name, source=source, reason=reason)])
    return hub_folder(card, found["repo"], found["revision"], tell)
