"""What `ptgflow train retrieval` may be told, and what it does: texts become a datastore."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ptgflow.contracts import ModelCard
from ptgflow.diagnostics.codes.runtime import EMPTY_DATASTORE
from ptgflow.errors import RunError
from ptgflow.train.files import files_of
from ptgflow.train.texts import KINDS, texts_of

if TYPE_CHECKING:
    from ptgflow.engine.lookup.datastore import DatastoreConfig
    from ptgflow.engine.models.codec import Codec


class RetrievalSpec(BaseModel):
    """A whole configuration of building a datastore."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelCard
    data: tuple[str, ...] = Field(min_length=1, description="files and folders with texts")
    output: str = Field(description="a folder for the datastore")
    format: Literal["text", "json"] = "text"

    @field_validator("data", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


def build_datastore(spec: RetrievalSpec, codec: "Codec", tell: Callable[[str, int, int], None]) -> "DatastoreConfig":
    """Encode all texts, index them, and write the datastore; what it is.

    Raises:
        RunError: FILE_PROBLEM, BAD_INPUT_LINE or EMPTY_DATASTORE.
    """
    from ptgflow.engine.lookup.datastore import Datastore
    from ptgflow.engine.models.digest import file_digest

    files = files_of([Path(one) for one in spec.data], KINDS)
    count = 0

    def encoded() -> Iterator[tuple[int, ...]]:
        nonlocal count
        for number, file in enumerate(files):
            tell("files read", number, len(files))
            for text in texts_of(file):
                ids = codec.encode(text)
                if ids:
                    count += 1
                    yield ids

    texts = list(encoded())
    if not texts:
        raise RunError([EMPTY_DATASTORE(what=f"the data in {', '.join(spec.data)}")])
    tell("indexing tokens", 0, sum(map(len, texts)))
    store, folder = Datastore.of(texts), Path(spec.output)
    digests = [(str(file), file_digest(file)) for file in files]
    return store.save(folder, codec=codec, model=spec.model.name, texts=count, data=digests)
