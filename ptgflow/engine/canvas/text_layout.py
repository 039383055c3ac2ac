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

    def rows(self, ask: CanvasAsk) -> list[int]:
        """Places whose rows predict the wanted ones. The first token of a text is predicted by its own row."""
        back = 1 if self.conventions.shifted else 0
        return [max(len(self.prompt) + place - back, 0) for place in ask.wanted]

    def begin_of_block(self, place: int) -> int:
        """The first place of the block that a place is in."""
        blocks = self.blocks
        return int(torch.searchsorted(blocks, blocks[place]))

    def _end(self, ask: CanvasAsk) -> int:
        """Behind the last place that one of the block can see."""
        blocks = self.blocks
        last = blocks[len(self.prompt) + ask.block.stop - 1]
        return int(torch.searchsorted(blocks, last, right=True))
