"""How far a model with narrow weights agrees with the one that they were made from, on a fixed text."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from ptgflow.contracts import ModelCard
from ptgflow.diagnostics.codes.runtime import LOW_AGREEMENT
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.passes.interface import ModelPass
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree
from ptgflow.errors import RunError

LEAST_ARGMAX: Final = 0.95
"""Least share of positions with the same likeliest token."""
MOST_NATS: Final = 0.02
"""Most Kullback-Leibler divergence a token, in nats."""

_TEXT: Final = """\
Anna has three boxes with twelve pencils each. She gives eight pencils to her brother and puts the rest into bags of
seven. Three times twelve is thirty-six. Thirty-six minus eight is twenty-eight, and twenty-eight divided by seven is
four, so she fills four bags and no pencil is left.

The harbour lies on the north side of the island, where the water is deep enough for larger ships. In the morning the
fishing boats come back, gulls follow them, and the market opens before the fog has gone. Most people who live here work
in one of three trades: they catch fish, they repair boats, or they rent rooms to visitors in the summer. When the wind
turns to the west, the old men on the pier say, it will rain before evening.

def area(width, height):
    if width < 0 or height < 0:
        raise ValueError("a side is not negative")
    return width * height

1. Read the question twice. 2. Write down what is known. 3. Write down what is asked. 4. Choose a method and try it.
5. Check the result with other numbers.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How two models agree on a text."""

    argmax: float
    """Share of positions with the same likeliest token."""
    nats: float
    """Mean divergence of the second from the first, KL(first || second), in nats a token."""

    @staticmethod
    def of(first: Float[Tensor, "tokens vocab"], second: Float[Tensor, "tokens vocab"]) -> "Agreement":
        """Compare log-probabilities."""
        same = (first.argmax(dim=-1) == second.argmax(dim=-1)).double().mean()
        nats = (first.exp() * (first - second)).sum(dim=-1).double().mean()
        return Agreement(argmax=float(same), nats=float(nats))

    @property
    def suffices(self) -> bool:
        return self.argmax >= LEAST_ARGMAX and self.nats <= MOST_NATS


def token_laws(network: PreTrainedModel, codec: Codec) -> Float[Tensor, "tokens vocab"]:
    """Log-probabilities of a transformers network at every token of the text."""
    with torch.inference_mode():
        logits: Tensor = network(torch.tensor([codec.encode(_TEXT)], device=network.device)).logits
    return logits[0].float().log_softmax(dim=-1)


def check_agreement(card: ModelCard, reference: Float[Tensor, "tokens vocab"], run: ModelPass, codec: Codec) -> None:
    """Measure, and refuse what agrees too little, unless the card forces it.

    Raises:
        RunError: LOW_AGREEMENT.
    """
    first, *rest = codec.encode(_TEXT)
    row = run.cache.admit()
    # As a chain of proposals, so that there are logits after every token.
    logits = run([RowInput(row=row, tokens=(first,), tree=TokenTree.chain(rest))])
    run.cache.free(row)
    found = Agreement.of(reference, logits.log_softmax(dim=-1))
    if not found.suffices and not card.force_int8:
        raise RunError(
            [
                LOW_AGREEMENT(
                    model=card.name,
                    argmax=f"{found.argmax:.1%}",
                    nats=f"{found.nats:.3f}",
                    least=f"{LEAST_ARGMAX:.0%}",
                    most=f"{MOST_NATS}",
                )
            ]
        )
