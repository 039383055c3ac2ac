"""Placeholders filled by masked generation: all holes of a block in one pass, each with its likeliest token."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, final

import torch

from ptgflow.engine.canvas.rules import CanvasAsk, Denoiser
from ptgflow.engine.models.model import LoadedModel

Holed = Sequence[int | None]
"""Tokens, and None where one is to be written."""


@final
class HoleFiller:
    """What it writes in a text does not depend on the texts beside it."""

    def __init__(self, denoiser: Denoiser, model: LoadedModel, *, block: int) -> None:
        """Prepare.

        Args:
            denoiser: who predicts what stands in holes.
            model: whose tokens they are.
            block: places from the first hole on that are looked at in a pass.
        """
        self._denoiser = denoiser
        self._block = block
        special = {*model.codec.tokenizer.all_special_ids, *model.codec.eos_ids}
        self._never: Final = torch.tensor(sorted(one for one in special if one < model.vocab_size))

    def admit(self, prompt: tuple[int, ...]) -> int:
        """A row behind a prompt of at least one token; its number."""
        return self._denoiser.admit(prompt, 0)

    def free(self, row: int) -> None:
        """Drop a row."""
        self._denoiser.free(row)

    def fill(self, texts: Mapping[int, Holed]) -> dict[int, list[tuple[int, float]]]:
        """What is written in the holes of each row's text, from the left, with its log-probability.

        Raises:
            SlotsFullError: there is no memory for the texts.
        """
        tokens = {row: [0 if one is None else one for one in text] for row, text in texts.items()}
        holes = {row: [at for at, one in enumerate(text) if one is None] for row, text in texts.items()}
        found: dict[int, list[tuple[int, float]]] = {row: [] for row in texts}
        while going := [row for row in texts if holes[row]]:
            asks = [self._ask(row, tokens[row], holes[row]) for row in going]
            for ask, logits in zip(asks, self._denoiser.predict(asks), strict=True):
                law = logits.index_fill(1, self._never.to(logits.device), -math.inf).log_softmax(dim=-1)
                scores, best = law.max(dim=-1)
                for place, token, score in zip(ask.wanted, best.tolist(), scores.tolist(), strict=True):
                    tokens[ask.row][place] = token
                    found[ask.row].append((token, score))
                holes[ask.row] = holes[ask.row][len(ask.wanted) :]
        return found

    def _ask(self, row: int, tokens: list[int], holes: list[int]) -> CanvasAsk:
        end = min(holes[0] + self._block, len(tokens))
        return CanvasAsk(
            row=row,
            tokens=tuple(tokens),
            holes=frozenset(holes),
            # A denoiser need not read the last place of a block, and here that is one more which is seen.
            block=range(holes[0], end + 1),
            wanted=tuple(place for place in holes if place < end),
        )
