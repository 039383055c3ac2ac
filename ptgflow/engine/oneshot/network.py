"""What makes a one-shot model of an autoregressive one: adapters for a window of masks, and heads that read its states.

The window stands right behind the prompt. As in a masked model the adapters are on in it alone, and logits are shifted:
the first token is what the model itself says of the prompt, and the state of each place foresees the token behind it.
So the states of a window of n places are that of the last token of the prompt, and those of n - 1 masks.
"""

from typing import Final, cast, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.gated_lora import adapter_layers
from ptgflow.engine.oneshot.crf import RANK, Transitions
from ptgflow.engine.oneshot.lengths import LengthClasses
from ptgflow.engine.oneshot.log_space import log_sum

TOLD: Final = frozenset({"argmax", "crf"})
"""Decoders that write a token in each place, so that a window can be told the length of its text."""
LINK_HEADS: Final = 4
LINK_SIZE: Final = 32
"""Of each head of links."""
INNER: Final = 64
"""Hidden units of what makes transitions of two states."""


def length_classes(places: int) -> LengthClasses:
    """A class for each number of tokens that a window of so many places can hold, none among them."""
    return LengthClasses(count=places + 1, centre=None, shortest=1)


@final
class LinkHead(nn.Module):
    """Which vertex comes after each: attention of several heads, mixed by a gate (DA-Transformer, arXiv 2205.07459).

    P(v | u) = sum over heads h of g[h](u) softmax over v > u of (q[h](u) k[h](v) / sqrt(size)), where queries and keys
    are made of states, and a place adds something of its own to both.
    """

    def __init__(self, hidden: int, places: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden, LINK_HEADS * LINK_SIZE)
        self.key = nn.Linear(hidden, LINK_HEADS * LINK_SIZE)
        self.gate = nn.Linear(hidden, LINK_HEADS)
        self.query_places = nn.Parameter(torch.randn(places, LINK_HEADS * LINK_SIZE))
        self.key_places = nn.Parameter(torch.randn(places, LINK_HEADS * LINK_SIZE))

    def forward(self, states: Float[Tensor, "batch vertices hidden"]) -> Float[Tensor, "batch vertices vertices"]:
        """Log-probabilities of the vertex (last axis) that comes after each; -inf of those that are not later."""
        batch, size = states.shape[:2]
        queries = (self.query(states) + self.query_places[:size]).view(batch, size, LINK_HEADS, LINK_SIZE)
        keys = (self.key(states) + self.key_places[:size]).view(batch, size, LINK_HEADS, LINK_SIZE)
        scores = torch.einsum("buhs,bvhs->bhuv", queries, keys) / LINK_SIZE**0.5
        later = torch.ones(size, size, dtype=torch.bool, device=states.device).triu(1)
        # Nothing is later than the last vertex: its line is normalised over whatever, and then dropped.
        allowed = later.clone()
        allowed[-1] = True
        each = scores.masked_fill(~allowed, -torch.inf).log_softmax(dim=-1)
        gates = self.gate(states).log_softmax(dim=-1).transpose(1, 2)
        return log_sum(each + gates[..., None], dim=1).masked_fill(~later, -torch.inf)


@final
class TransitionHead(nn.Module):
    """How well a token follows another, of low rank and by the states of both (arXiv 1910.11555, section 3.2).

    At first the dynamic part is the identity, as in fairseq it always is.
    """

    def __init__(self, hidden: int, vocab: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(vocab, RANK) / RANK)
        self.second = nn.Parameter(torch.randn(vocab, RANK) / RANK)
        self.inner = nn.Linear(2 * hidden, INNER)
        self.outer = nn.Linear(INNER, RANK * RANK)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, states: Float[Tensor, "batch places hidden"]) -> Transitions:
        """Transitions between all neighbours."""
        pairs = torch.cat((states[:, :-1], states[:, 1:]), dim=-1)
        found: Tensor = self.outer(torch.relu(self.inner(pairs)))
        dynamic = found.view(*found.shape[:2], RANK, RANK) + torch.eye(RANK, device=found.device)
        return Transitions(first=self.first, second=self.second, dynamic=dynamic)


class OneShotHeads(nn.Module):
    """What reads the states of a window; each decoder has its own."""

    def __init__(self, config: HeadConfig) -> None:
        """Make heads that know nothing."""
        super().__init__()
        assert config.block_length, "a window has places"
        assert config.decoder, "one-shot generation has a decoder"
        self.config = config
        self.places: Final = config.block_length
        hidden = config.base.hidden_size
        self.length = _silent(nn.Linear(hidden, self.places + 1)) if config.decoder in TOLD else None
        self.blank = _silent(nn.Linear(hidden, 1)) if config.decoder == "ctc" else None
        self.links = LinkHead(hidden, self.places) if config.decoder == "dag" else None
        self.transitions = TransitionHead(hidden, config.base.vocab_size) if config.decoder == "crf" else None

    def lengths(self, states: Float[Tensor, "batch places hidden"]) -> Float[Tensor, "batch classes"]:
        """Logits of the classes of lengths, from the mean of what stands in a window of masks alone.

        The state of each place can say whether the text goes on there, and the length is how many do.
        """
        assert self.length is not None, "the decoder has a length head"
        return cast("Tensor", self.length(states[:, 1:].mean(dim=1)))

    def labels(
        self, logits: Float[Tensor, "batch places vocab"], states: Float[Tensor, "batch places hidden"]
    ) -> Float[Tensor, "batch places labels"]:
        """Logits of tokens and, last, of the blank. The first place has none: the model itself writes there."""
        assert self.blank is not None, "the decoder has blanks"
        blank: Tensor = self.blank(states)
        first = torch.arange(blank.shape[1], device=blank.device)[:, None] == 0
        return torch.cat((logits, blank.masked_fill(first, -torch.inf)), dim=-1)


@final
class OneShotNet(OneShotHeads):
    """What is trained: a mask, adapters and heads."""

    def __init__(self, config: HeadConfig) -> None:
        """Make a mask that is noise, adapters that do nothing yet, and heads that know nothing."""
        super().__init__(config)
        assert config.rank, "adapters have a rank"
        self.masks = nn.Parameter(torch.randn(config.heads, config.base.hidden_size))
        self.layers = adapter_layers(config, config.rank)


def _silent(made: nn.Linear) -> nn.Linear:
    """A product that is zero at first."""
    nn.init.zeros_(made.weight)
    nn.init.zeros_(made.bias)
    return made
