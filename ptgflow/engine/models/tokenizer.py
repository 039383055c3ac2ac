"""A model's codec without its weights."""

from ptgflow.contracts import ModelCard
from ptgflow.diagnostics.codes.runtime import CARD_CONTRADICTED
from ptgflow.engine.models.checkpoint import load_tokenizer
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.models.progress import Progress, silent
from ptgflow.engine.models.sources import Tiny, resolve
from ptgflow.engine.models.tiny import tiny_tokenizer
from ptgflow.errors import RunError


def load_codec(card: ModelCard, *, progress: Progress | None = None) -> Codec:
    """Fetch what a card describes, and read its tokenizer alone.

    The end tokens that the network's own configuration names are not known to it.

    Raises:
        RunError: the source cannot be reached or read, is damaged or unsafe, or its tokenizer is not the card's.
    """
    source = resolve(card, progress or silent)
    codec = Codec(tiny_tokenizer() if isinstance(source, Tiny) else load_tokenizer(card, source), model=card.name)
    if card.tokenizer is not None and card.tokenizer != codec.fingerprint:
        said = card.tokenizer
        finding = CARD_CONTRADICTED(model=card.name, field="tokenizer", declared=said, found=codec.fingerprint)
        raise RunError([finding])
    return codec
