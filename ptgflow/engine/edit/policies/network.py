"""The heads that decide about edits, over what a model makes of a text.

Each line of a text is a token, after the one that stands before the text and before a line for its end. The policies
are those of the Levenshtein Transformer (Gu et al., NeurIPS 2019, section 3.2) and, for moving, EDITOR (Xu & Carpuat,
TACL 2021, Eq. 1): deletion of each token, the number of placeholders of each gap from the pair of its neighbours, and a
pointer from each place to what shall stand there.
"""

from collections.abc import Sequence
from typing import Final, cast, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ptgflow.engine.edit.policies.sighting import FACTS, Sighting
from ptgflow.engine.heads.config import HeadConfig

_SPAN: Final = 5
"""Lines that a convolution sees."""
_POINTER: Final = 64
"""Features of what points and of what is pointed at."""
_STAY: Final = 3.0
"""Untrained, a token rather stays where it is."""


@final
class PolicyNet(nn.Module):
    """Two convolutions over lines, and three heads.

    Results of a text do not depend on the texts beside it: what is behind its end is zero, as it is where nothing is.
    """

    def __init__(self, config: HeadConfig) -> None:
        """Make heads that know nothing."""
        super().__init__()
        assert config.width, "heads have hidden units"
        assert config.most, "a gap has room for a placeholder"
        assert config.reach, "a token can be moved"
        self.config = config
        self.most: Final = config.most
        self.reach: Final = config.reach
        width, hidden = config.width, config.base.hidden_size
        # Each tap of both readings.
        self._parts = 2 * len(config.taps)
        self.states = nn.Linear(self._parts * hidden, width)
        self.facts = nn.Linear(FACTS, width, bias=False)
        self.begin = nn.Parameter(torch.zeros(width))
        self.end = nn.Parameter(torch.randn(width) * 0.1)
        self.first = nn.Conv1d(width, width, _SPAN, padding=_SPAN // 2)
        self.second = nn.Conv1d(width, width, _SPAN, padding=_SPAN // 2)
        self.delete = nn.Linear(width, 1)
        self.gap = nn.Linear(2 * width, width)
        self.count = nn.Linear(width, self.most + 1)
        self.query = nn.Linear(width, _POINTER)
        self.key = nn.Linear(width, _POINTER)
        self.drop = nn.Linear(width, 1)
        self.offset = nn.Parameter(torch.zeros(2 * self.reach + 1))
        with torch.no_grad():
            self.offset[self.reach] = _STAY

    def lines(self, sightings: Sequence[Sighting]) -> list[Float[Tensor, "lines width"]]:
        """What the heads read of each text: the token before it, its own, and its end."""
        rows = [self._inputs(one) for one in sightings]
        padded = pad_sequence(rows, batch_first=True)
        there = pad_sequence([row.new_ones(len(row), 1) for row in rows], batch_first=True)
        x = padded + F.gelu(self._mixed(self.first, padded)) * there
        x = x + F.gelu(self._mixed(self.second, x)) * there
        return [x[at, : len(row)] for at, row in enumerate(rows)]

    def deletions(self, lines: Float[Tensor, "lines width"]) -> Float[Tensor, " tokens"]:
        """The logit of each token's deletion."""
        return cast("Tensor", self.delete(lines[1:-1]))[:, 0]

    def counts(self, lines: Float[Tensor, "lines width"]) -> Float[Tensor, "gaps classes"]:
        """Logits of the number of placeholders of each gap: before the first token, and behind each."""
        pairs = torch.cat((lines[:-1], lines[1:]), dim=-1)
        return cast("Tensor", self.count(F.gelu(self.gap(pairs))))

    def moves(self, lines: Float[Tensor, "lines width"]) -> Float[Tensor, "tokens choices"]:
        """Logits of what becomes of each place: it is dropped, or gets the token so many places before or behind."""
        own = lines[1:-1]
        queries, keys = cast("Tensor", self.query(own)), cast("Tensor", self.key(own))
        # One more, so that there is a window even of no places.
        near = F.pad(keys, (0, 0, self.reach, self.reach + 1)).unfold(0, 2 * self.reach + 1, 1)[: len(own)]
        scores = torch.einsum("tk,tko->to", queries, near) / _POINTER**0.5 + self.offset
        place = torch.arange(len(own), device=own.device)[:, None]
        at = place + torch.arange(-self.reach, self.reach + 1, device=own.device)
        scores = scores.masked_fill((at < 0) | (at >= len(own)), -torch.inf)
        return torch.cat((cast("Tensor", self.drop(own)), scores), dim=-1)

    def _inputs(self, one: Sighting) -> Float[Tensor, "lines width"]:
        states = one.states.reshape(len(one.states), self._parts, -1)
        # States of some layers are large, and of some dimensions very large.
        normed = F.layer_norm(states, states.shape[-1:]).flatten(1)
        found: Tensor = self.states(normed) + self.facts(one.facts)
        found = F.gelu(torch.cat((found[:1] + self.begin, found[1:])))
        return torch.cat((found, self.end.to(found.dtype)[None]))

    def _mixed(self, layer: nn.Conv1d, x: Float[Tensor, "texts lines width"]) -> Float[Tensor, "texts lines width"]:
        return cast("Tensor", layer(x.transpose(1, 2))).transpose(1, 2)
