"""Where a prompt and its canvas lie in one text, which of its places see which, and which row predicts which."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from ptgflow.contracts.masked_model import MaskedConventions
from ptgflow.engine.canvas.rules import CanvasAsk


@final
@dataclass(frozen=True)
class Shadow:
    """Places that are read once more, behind the text: they see it without what stands in them, and nobody sees them.

    With logits that are not shifted it is the doubted place, as a hole (WINO, arXiv 2507.18578). With shifted ones it
    is also the place before it, as it is: its row predicts the doubted one.
    """

    places: tuple[int, ...]
    tokens: tuple[int, ...]


@final
@dataclass(frozen=True)
class TextLayout:
    """The text of one row: its prompt, then its canvas, with places counted from 0.

    Attention of every layout is one rule: a place sees those whose block has no higher number than its own. With
    bidirectional attention all places are in block 0.
    """

    conventions: MaskedConventions
    prompt: tuple[int, ...]
    size: int
    """Places of the canvas."""

    @cached_property
    def blocks(self) -> Int[Tensor, " places"]:
        """Number of the block of each place, ascending."""
        places = torch.arange(len(self.prompt) + self.size)
        length = self.conventions.block_length
        if self.conventions.attention == "bidirectional":
            return torch.zeros_like(places)
        assert length is not None, "block-causal attention has a block length"
        if self.conventions.prompt_blocks == "joined":
            return places // length
        canvas = (places - len(self.prompt)) // length
        prompt = (
            places - len(self.prompt) if self.conventions.prompt_blocks == "causal" else torch.full_like(places, -1)
        )
        return torch.where(places < len(self.prompt), prompt, canvas)

    def shown(self, ask: CanvasAsk) -> tuple[int, ...]:
        """Tokens that the model reads: holes are mask tokens, and what no wanted place can see is left out."""
        mask = self.conventions.mask_id
        canvas = [mask if place in ask.holes else token for place, token in enumerate(ask.tokens)]
        return (*self.prompt, *canvas)[: self._end(ask)]

    def lines(self, ask: CanvasAsk) -> list[int | Shadow]:
        """Whose rows predict the wanted places and then the doubted ones: other places', or shadows'."""
        tokens = self.shown(ask)
        return [
            *(self._row(len(self.prompt) + place) for place in ask.wanted),
            *(self._doubting(len(self.prompt) + place, tokens) for place in ask.doubted),
        ]

    def rows(self, ask: CanvasAsk) -> list[int]:
        """Those of them that are places of the text."""
        return [row for row in self.lines(ask) if isinstance(row, int)]

    def begin_of_block(self, place: int) -> int:
        """The first place of the block that a place is in."""
        blocks = self.blocks
        return int(torch.searchsorted(blocks, blocks[place]))

    def _row(self, place: int) -> int:
        """The place whose row predicts one. The first token of a text is predicted by its own row."""
        return max(place - 1, 0) if self.conventions.shifted else place

    def _doubting(self, place: int, tokens: tuple[int, ...]) -> int | Shadow:
        """What predicts a place without seeing it; of tokens of the text."""
        row, mask = self._row(place), self.conventions.mask_id
        if row == place:
            return Shadow((place,), (mask,))
        if self.blocks[row] < self.blocks[place]:
            return row
        return Shadow((row, place), (tokens[row], mask))

    def _end(self, ask: CanvasAsk) -> int:
        """Behind the last place that one of the block can see."""
        blocks = self.blocks
        last = blocks[len(self.prompt) + ask.block.stop - 1]
        return int(torch.searchsorted(blocks, last, right=True))
