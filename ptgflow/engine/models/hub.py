"""Models on the Hugging Face hub: a snapshot of the files that a checkpoint needs, and of no others."""

from pathlib import Path
from typing import Final

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from ptgflow.contracts import ModelCard
from ptgflow.diagnostics.codes.runtime import SOURCE_NOT_FOUND, UNSAFE_WEIGHTS
from ptgflow.engine.models.progress import Progress
from ptgflow.engine.models.quiet import quiet
from ptgflow.errors import RunError

_FILES: Final = ("*.json", "*.safetensors", "tokenizer*", "merges.txt", "*.jinja")
_PICKLES: Final = ("pytorch_model*.bin",)
_REACH: Final = (
    "check the name and the connection; HF_ENDPOINT names a mirror, HF_TOKEN a token for repositories that ask for "
    "one, HF_HOME the folder where downloads are kept. A folder that you have already: model.source=FOLDER"
)


def hub_folder(card: ModelCard, repo: str, revision: str | None, tell: Progress) -> Path:
    """The local snapshot of a repository, downloaded into the hub's own cache if it is not there.

    Raises:
        RunError: SOURCE_NOT_FOUND, or UNSAFE_WEIGHTS when the repository has no safetensors but pickle files.
    """
    patterns = [*_FILES, *(_PICKLES if card.allow_pickle else ()), *(["*.py"] if card.trust_remote_code else ())]
    tell(f"fetching {card.source}")
    try:
        with quiet():
            folder = Path(snapshot_download(repo, revision=revision, allow_patterns=patterns))
    except (OSError, ValueError) as error:  # Every error of the hub's client is one of these.
        raise _not_found(card, repo, _short(error)) from error
    if not any(folder.glob("*.safetensors")):
        _explain_no_weights(card, repo, revision, folder)
    return folder


def _explain_no_weights(card: ModelCard, repo: str, revision: str | None, folder: Path) -> None:
    """Weights that were left on the hub for being pickles are named; anything else is told by the loader."""
    if card.allow_pickle and any(path for pattern in _PICKLES for path in folder.glob(pattern)):
        return
    try:
        names = HfApi().list_repo_files(repo, revision=revision)
    except (OSError, ValueError) as error:
        raise _not_found(card, repo, f"no safetensors weights in the local copy, and {_short(error)}") from error
    pickles = sorted(name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt")))
    if pickles and not card.allow_pickle:
        raise RunError([UNSAFE_WEIGHTS(source=card.source, found=", ".join(pickles))])


def _not_found(card: ModelCard, repo: str, reason: str) -> RunError:
    full = f"there is no folder {repo!r} here, and the hub cannot give it: {reason}"
    return RunError([SOURCE_NOT_FOUND(model=card.name, source=card.source, reason=full, help=_REACH)])


def _short(error: Exception) -> str:
    """The first line that says something; a message of the hub's client goes on with advice for programmers."""
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return f"it answered {error.response.status_code} for this name"
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
