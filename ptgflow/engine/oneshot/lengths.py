"""How long a text will be, from a classifier of lengths: Mask-Predict's and fairseq's length head."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LengthClasses:
    """Which length each class stands for.

    With a centre, class c is a text c - centre tokens longer than its source (fairseq's `pred_length_offset`); without
    one, a text of c tokens.
    """

    count: int = 256
    centre: int | None = 128
    shortest: int = 1
    """Classes that stand for fewer tokens are never chosen."""

    def of(self, lengths: Int[Tensor, " batch"], sources: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """The class of each length, or the nearest one; `sources` are the lengths of what the texts are made from."""
        return (lengths - self._zero(sources)).clamp(min=0, max=self.count - 1)

    def lengths(self, sources: Int[Tensor, " batch"]) -> Int[Tensor, "batch classes"]:
        """The length that each class stands for; possibly one that no text has."""
        return self._zero(sources)[:, None] + torch.arange(self.count, device=sources.device)

    def law(
        self, logits: Float[Tensor, "batch classes"], sources: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch classes"]:
        """Log-probabilities of the classes; -inf for those that stand for too few tokens."""
        lengths = self.lengths(sources)
        assert bool((lengths[:, -1] >= self.shortest).all()), "one class at least stands for a text"
        return logits.masked_fill(lengths < self.shortest, -torch.inf).log_softmax(dim=-1)

    def _zero(self, sources: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """The length of class 0."""
        return torch.zeros_like(sources) if self.centre is None else sources - self.centre


def predicted(
    logits: Float[Tensor, "batch classes"], sources: Int[Tensor, " batch"], classes: LengthClasses
) -> Int[Tensor, " batch"]:
    """The likeliest length of each row."""
    best = classes.law(logits, sources).argmax(dim=-1)
    return classes.lengths(sources).gather(1, best[:, None])[:, 0]


def likeliest(
    logits: Float[Tensor, "batch classes"], sources: Int[Tensor, " batch"], classes: LengthClasses, *, beam: int
) -> list[tuple[int, ...]]:
    """The `beam` likeliest lengths of each row, likeliest first (Mask-Predict, arXiv 1904.09324).

    They are fewer where fewer are possible.
    """
    law = classes.law(logits, sources)
    best = law.topk(min(beam, law.shape[-1]), dim=-1)
    lengths = classes.lengths(sources).gather(1, best.indices)
    return [
        tuple(length for length, score in zip(*row, strict=True) if score > float("-inf"))
        for row in zip(lengths.tolist(), best.values.tolist(), strict=True)
    ]


def nearby(length: int, *, beam: int, shortest: int = 1) -> tuple[int, ...]:
    """`beam` neighbouring lengths, from beam // 2 below the given one on: fairseq's length beam.

    Where that would be too short the beam loses its lower end; fairseq has the shortest several times instead.
    """
    return tuple(around for around in range(length - beam // 2, length - beam // 2 + beam) if around >= shortest)
