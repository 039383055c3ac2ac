"""All of some requests, decoded by a loop of their own."""

from collections.abc import Iterator, Sequence

from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import Decoded, DecodeRequest


def decoded_of(model: LoadedModel, requests: Sequence[DecodeRequest], *, rows: int) -> Iterator[tuple[int, Decoded]]:
    """The place of each request and what became of it, as they finish; at most `rows` are decoded at a time.

    Raises:
        Exception: of the first that failed.
    """
    loop = DecodeLoop(model, max_rows=rows)
    places = {loop.admit(request): place for place, request in enumerate(requests)}
    while not loop.idle:
        found = loop.round()
        for error in found.failed.values():
            raise error
        for row, decoded in found.finished.items():
            yield places[row], decoded
