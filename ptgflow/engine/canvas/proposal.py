"""What a round would write of one row, before a guide has had its say."""

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from ptgflow.engine.canvas.guidance.guide import Question
from ptgflow.engine.canvas.guidance.judging import Judging, confirmed, run_of
from ptgflow.engine.canvas.guidance.product import drawn
from ptgflow.engine.sampling import Place, Prediction, predict


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proposal:
    """The holes of the block with their tokens, and which of them the selector has chosen."""

    lines: list[int]
    """All places that the model was asked about."""
    logits: Float[Tensor, "lines vocab"]
    """What it says of them."""
    holes: list[int]
    """Those that are holes, ascending."""
    places: list[Place]
    """What is asked about the logits of each hole."""
    found: Prediction
    law: Float[Tensor, "holes vocab"]
    tokens: list[int]
    noise: Float64[Tensor, "holes vocab"] | None
    """What the tokens were drawn with, where a guide's draws are to share it."""
    chosen: list[bool]

    @property
    def own(self) -> Float[Tensor, "holes vocab"]:
        """The logits of the holes."""
        at = {place: line for line, place in enumerate(self.lines)}
        return self.logits[[at[place] for place in self.holes]]

    def question(self, row: int, prompt: tuple[int, ...], canvas: list[int]) -> Question | None:
        """What a guide has to read to judge what was chosen; None: only the first hole could be written."""
        run = run_of(self.chosen)
        if run == 1:
            return None
        text = [*prompt, *canvas[: self.holes[run - 1]]]
        for place, token in zip(self.holes[: run - 1], self.tokens, strict=False):
            text[len(prompt) + place] = token
        return Question(row=row, text=tuple(text), wanted=tuple(len(prompt) + place for place in self.holes[1:run]))

    def judged(self, rule: Judging, guided: Float[Tensor, "judged vocab"] | None) -> int:
        """How many of the first holes are written; None: the guide was not asked."""
        if guided is None:
            return 1
        judged = slice(1, 1 + len(guided))
        # No draw of its own is wanted: it is the likeliest token, or what the noise draws.
        places = [replace(place, draws=False) for place in self.places[judged]]
        target = predict(rule.target(self.own[judged], guided), places)
        if self.noise is None:
            tokens = [target.own(line) for line in range(len(guided))]
        else:
            tokens = drawn(law_of(target, len(guided)), self.noise[judged])
        return 1 + confirmed(self.tokens[judged], tokens)


def law_of(found: Prediction, lines: int) -> Float[Tensor, "lines vocab"]:
    """Log-probabilities of what is drawn from."""
    return torch.stack([found.law(line) for line in range(lines)]).log().float()
