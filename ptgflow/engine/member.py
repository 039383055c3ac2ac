"""A row of a decoding loop with all that the loop keeps about it."""

from typing import final

from ptgflow.diagnostics.codes.runtime import UNKNOWN_TOKEN
from ptgflow.engine.costs.acceptance_record import AcceptanceRecord
from ptgflow.engine.costs.drafting import Gain
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.prefixes import Shared
from ptgflow.engine.request import DecodeRequest
from ptgflow.engine.row import Row
from ptgflow.engine.sampling import History, unknown_tokens
from ptgflow.errors import RunError


@final
class Member:
    """One row, waiting or active."""

    def __init__(self, number: int, request: DecodeRequest, model: LoadedModel, record: AcceptanceRecord) -> None:
        """Start a row.

        Raises:
            RunError: UNKNOWN_TOKEN, for a bias on a token that the model does not have.
        """
        alien = unknown_tokens(request.sampling, model.vocab_size)
        if alien:
            raise RunError([UNKNOWN_TOKEN(token=alien[0], model=model.name, last=model.vocab_size - 1)])
        self.number = number
        self.row = Row(request, model.codec, model.context_length)
        self.history = History(request.sampling, request.prompt_ids, model.vocab_size, model.device)
        self.record = record
        """What it has learnt of its drafter."""
        self.slot: int | None = None
        """Its place in the slot cache; None: it has none yet."""
        self.shared: Shared | None = None
        """What it waits to copy from another row."""
        self.gain = Gain()
        """What it has of the drafters that it shares."""
        self.foreseen: list[tuple[str, frozenset[int]]] = []
        """In this round: of each set of heads that has drafted where it is from, and its tokens for the next place."""
        self.depth = 0
        """How many levels its next draft may have."""
        self.looked = False
        """Whether it has looked for a row to copy from."""
