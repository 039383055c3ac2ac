"""Whether a masked model's logits are shifted, told from how likely it finds tokens that are known.

Nothing fails where the convention is the wrong one; the text is only bad. So it is worth a few passes to look.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

Rows = Callable[[Sequence[tuple[int, ...]]], Sequence[Float[Tensor, "places vocab"]]]
"""From texts with mask tokens to the logits of every row of each, unshifted: as the network says them
(`FullDenoiser.rows`)."""

CLEAR: Final = 0.5
"""Nats a token by which one reading must be ahead of the other. Of a trained model the wrong one, which predicts a
neighbour that is in plain sight, is behind by several."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftFinding:
    """What a probe has found."""

    unshifted: float
    """Mean log-probability of a known token in the row of its own place, in nats."""
    shifted: float
    """The same in the row before it."""
    tokens: int
    """How many were asked for."""

    @property
    def verdict(self) -> Literal["shifted", "unshifted", "unclear"]:
        """Which reading the model was trained with; unclear: the two are about as likely."""
        # Not by the difference: a reading may give a token no chance at all, and so may both.
        if self.shifted > self.unshifted + CLEAR:
            return "shifted"
        return "unshifted" if self.unshifted > self.shifted + CLEAR else "unclear"

    def contradicts(self, *, shifted: bool) -> bool:
        """Whether the model clearly is of the other convention than the declared one."""
        return self.verdict == ("unshifted" if shifted else "shifted")


def shift_probe(rows: Rows, texts: Sequence[tuple[int, ...]], mask_id: int, *, at_once: int = 16) -> ShiftFinding:
    """Mask one token at a time, and compare how likely it is under both readings.

    The first token of a text is left out: there is no row before it.

    Args:
        rows: the model.
        texts: ordinary text of the kind that the model was trained on, without mask tokens; of a few dozen tokens in
            all, since each is a pass.
        mask_id: the mask token.
        at_once: texts of one call.

    Raises:
        ValueError: there is no token to mask.
    """
    questions = [
        ((*text[:place], mask_id, *text[place + 1 :]), place, text[place])
        for text in texts
        for place in range(1, len(text))
    ]
    if not questions:
        raise ValueError("a probe needs a text of at least two tokens")
    found: list[Tensor] = []
    for begin in range(0, len(questions), at_once):
        part = questions[begin : begin + at_once]
        answers = rows([masked for masked, _, _ in part])
        for (_, place, token), logits in zip(part, answers, strict=True):
            found.append(logits[place - 1 : place + 1].double().log_softmax(dim=-1)[:, token])
    before, own = torch.stack(found).mean(dim=0).tolist()
    return ShiftFinding(unshifted=own, shifted=before, tokens=len(questions))
