"""A datastore on disk: token sequences with their suffix array, mapped and not read."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from ptgflow.diagnostics.codes.runtime import (
    DATASTORE_MISMATCH,
    DATASTORE_UNREADABLE,
    EMPTY_DATASTORE,
    FILE_PROBLEM,
)
from ptgflow.engine.lookup.suffix_array import span, suffix_array
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.models.digest import file_digest
from ptgflow.errors import RunError

TOKENS: Final = "tokens.npy"
ORDER: Final = "order.npy"
CONFIG: Final = "datastore.json"
END: Final = -1
"""Stands behind each text, so that nothing is found across two of them."""


class DatastoreConfig(BaseModel):
    """What a datastore is: `datastore.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    model: str
    """The card whose tokenizer encoded the texts."""
    tokenizer: str
    """Its fingerprint."""
    texts: int
    tokens: int
    """Of all texts, their ends not counted."""
    sha256: dict[str, str]
    """Of each array."""
    data: tuple[tuple[str, str], ...] = ()
    """Files that the texts are from, with their SHA-256."""


@final
class Datastore:
    """Texts that can be looked into by what stands in them."""

    def __init__(self, tokens: NDArray[np.int32], order: NDArray[np.integer]) -> None:
        """Take the arrays.

        Args:
            tokens: all texts, each with `END` behind it.
            order: their suffix array.
        """
        self.tokens, self.order = tokens, order

    @staticmethod
    def of(texts: Iterable[Sequence[int]]) -> "Datastore":
        """Index texts. Takes about 50 bytes a token while it does."""
        parts = [np.array([*text, END], dtype=np.int32) for text in texts]
        tokens = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
        order = suffix_array(tokens)
        return Datastore(tokens, order.astype(np.int32) if len(order) < 2**31 else order)

    def longest(self, text: Sequence[int], *, shortest: int, longest: int) -> tuple[int, NDArray[np.integer]]:
        """The longest end of a text that occurs, and the places behind its occurrences, in their order.

        Args:
            text: what the end is of.
            shortest: fewer tokens are no match: the length is then 0, and there are no places.
            longest: no more tokens are compared.
        """
        # What occurs occurs without its first token, too, so the length is found by halving.
        low, high = 0, min(longest, len(text))
        found = 0, 0
        while max(low + 1, shortest) <= high:
            middle = max((low + high + 1) // 2, shortest)
            first, last = span(self.tokens, self.order, text[len(text) - middle :])
            if first < last:
                low, found = middle, (first, last)
            else:
                high = middle - 1
        return low, self.order[found[0] : found[1]] + low

    def save(
        self, folder: Path, *, codec: Codec, model: str, texts: int, data: Sequence[tuple[str, str]]
    ) -> DatastoreConfig:
        """Write it, each file whole or not at all, and what it is last; what it is.

        Raises:
            RunError: FILE_PROBLEM, when the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / CONFIG).unlink(missing_ok=True)
            for name, array in ((TOKENS, self.tokens), (ORDER, self.order)):
                part = folder / f"{name}.part"
                with part.open("wb") as file:
                    np.save(file, array, allow_pickle=False)
                part.replace(folder / name)
            config = DatastoreConfig(
                model=model,
                tokenizer=codec.fingerprint,
                texts=texts,
                tokens=int((self.tokens != END).sum()),
                sha256={name: file_digest(folder / name) for name in (TOKENS, ORDER)},
                data=tuple(data),
            )
            part = folder / f"{CONFIG}.part"
            part.write_text(config.model_dump_json(indent=1) + "\n", encoding="utf-8")
            part.replace(folder / CONFIG)
        except OSError as error:
            raise RunError([FILE_PROBLEM(action="write", file=str(folder), reason=error.strerror or error)]) from error
        return config


def load_datastore(folder: Path, codec: Codec, *, model: str) -> tuple[Datastore, DatastoreConfig]:
    """Map a datastore and check that it is whole, and of a model's tokens.

    Raises:
        RunError: DATASTORE_UNREADABLE, DATASTORE_MISMATCH or EMPTY_DATASTORE.
    """
    path = str(folder)
    try:
        config = DatastoreConfig.model_validate_json((folder / CONFIG).read_text(encoding="utf-8"))
        changed = [name for name in (TOKENS, ORDER) if file_digest(folder / name) != config.sha256.get(name)]
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{CONFIG}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise RunError([DATASTORE_UNREADABLE(path=path, reason=reason)]) from error
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        reason = f"{Path(error.filename).name}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise RunError([DATASTORE_UNREADABLE(path=path, reason=reason)]) from error
    if changed:
        reason = f"the SHA-256 of {' and of '.join(changed)} is not that of {CONFIG}"
        raise RunError([DATASTORE_UNREADABLE(path=path, reason=reason)])
    if config.tokenizer != codec.fingerprint:
        want, have = f"{codec.fingerprint} ({model})", f"{config.tokenizer} ({config.model})"
        raise RunError([DATASTORE_MISMATCH(path=path, model=model, want=want, have=have)])
    if not config.tokens:
        raise RunError([EMPTY_DATASTORE(what=f"the datastore in {path!r}")])
    arrays = [np.load(folder / name, mmap_mode="r", allow_pickle=False).view(np.ndarray) for name in (TOKENS, ORDER)]
    return Datastore(*arrays), config
