"""Distributions of several lines, each kept as what it takes least to keep."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from ptgflow.engine.sampling.blocks import WIDE, inside, largest
from ptgflow.engine.sampling.draws import draw_each, draw_in_blocks
from ptgflow.engine.sampling.picking import picked


def softmax(
    scores: Float[Tensor, "rows vocab"], temperatures: Float64[Tensor, "rows 1"]
) -> Float64[Tensor, "rows vocab"]:
    """The distribution before any filter, in double precision. Each line is computed by itself, to its last bit."""
    return (scores / temperatures).softmax(dim=-1)


@runtime_checkable
class Laws(Protocol):
    """Distributions of several lines; `rows` counts among them."""

    def law(self, row: int) -> Float64[Tensor, " vocab"]:
        """The distribution of a line."""
        ...

    def shares(self, rows: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """The probability of a token in each of some lines."""
        ...

    def top(self, rows: Sequence[int], count: int) -> tuple[list[list[int]], list[list[float]]]:
        """The likeliest tokens of some lines and their probabilities, of which some may be 0; fewer, if there are."""
        ...

    def draws(self, chances: Sequence[float]) -> list[int]:
        """A token for each line, by a uniform number for each."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Over the whole vocabulary, which no filter cuts: a softmax, computed anew where all of it is asked for."""

    scores: Float[Tensor, "rows vocab"]
    """Logits after penalties and biases."""
    temperatures: Float64[Tensor, "rows 1"]
    sums: Float64[Tensor, "rows blocks"]
    """The probability of each block."""
    highest: Float64[Tensor, "rows 1"]
    """The likeliest token's logit, divided by the temperature."""
    peaks: Float64[Tensor, "rows 1"]
    """Its probability."""

    def law(self, row: int) -> Float64[Tensor, " vocab"]:
        return softmax(self.scores[row : row + 1], self.temperatures[row : row + 1])[0]

    def shares(self, rows: Sequence[int], tokens: Sequence[int]) -> list[float]:
        at = torch.tensor(rows, device=self.scores.device)
        wanted = torch.tensor(tokens, device=self.scores.device)
        return [share for (share,) in self._shares(at, self.scores[at, wanted][:, None])]

    def top(self, rows: Sequence[int], count: int) -> tuple[list[list[int]], list[list[float]]]:
        values, ids = largest(picked(self.scores, rows), count)
        return ids.tolist(), self._shares(torch.tensor(rows, device=values.device), values)

    def draws(self, chances: Sequence[float]) -> list[int]:
        return draw_in_blocks(self.sums, self._within, chances, law=self.law)

    def _within(self, block: Int[Tensor, "rows 1"]) -> tuple[Float64[Tensor, "rows few"], Int[Tensor, "rows few"]]:
        values, at = inside(self.scores, block, WIDE, -torch.inf)
        return (values.double() / self.temperatures - self.highest).exp() * self.peaks, at

    def _shares(self, rows: Int[Tensor, " some"], values: Float[Tensor, "some few"]) -> list[list[float]]:
        below = values.double() / self.temperatures[rows] - self.highest[rows]
        # The last bit of a tensor's exponential may depend on where in it a number stands; that of math.exp does not.
        return [
            [peak * math.exp(one) for one in line]
            for (peak,), line in zip(self.peaks[rows].tolist(), below.tolist(), strict=True)
        ]


@final
@dataclass(frozen=True, slots=True)
class Wide:
    """Over the whole vocabulary, of which a filter leaves much."""

    weights: Float64[Tensor, "rows vocab"]

    def law(self, row: int) -> Float64[Tensor, " vocab"]:
        return self.weights[row]

    def shares(self, rows: Sequence[int], tokens: Sequence[int]) -> list[float]:
        found: list[float] = self.weights[list(rows), list(tokens)].tolist()
        return found

    def top(self, rows: Sequence[int], count: int) -> tuple[list[list[int]], list[list[float]]]:
        weights, ids = largest(picked(self.weights, rows), count)
        return ids.tolist(), weights.tolist()

    def draws(self, chances: Sequence[float]) -> list[int]:
        return draw_each(self.weights, chances)


@final
@dataclass(frozen=True, slots=True)
class Narrow:
    """Over a few tokens, in descending order of their weights; those of weight 0 are filtered out."""

    ids: Int[Tensor, "rows few"]
    weights: Float64[Tensor, "rows few"]
    vocab: int

    def law(self, row: int) -> Float64[Tensor, " vocab"]:
        return self.weights.new_zeros(self.vocab).scatter_(0, self.ids[row], self.weights[row])

    def shares(self, rows: Sequence[int], tokens: Sequence[int]) -> list[float]:
        wanted = torch.tensor(tokens, device=self.ids.device)
        same: Bool[Tensor, "rows few"] = picked(self.ids, rows) == wanted[:, None]
        # At most one of a line is the token, so that the sum is its weight or 0.
        found: list[float] = picked(self.weights, rows).masked_fill(~same, 0.0).sum(dim=-1).tolist()
        return found

    def top(self, rows: Sequence[int], count: int) -> tuple[list[list[int]], list[list[float]]]:
        return picked(self.ids, rows)[:, :count].tolist(), picked(self.weights, rows)[:, :count].tolist()

    def draws(self, chances: Sequence[float]) -> list[int]:
        # A draw goes through the tokens in the order of the vocabulary; those of weight 0 may stand anywhere.
        used = int((self.weights > 0).sum(dim=-1).amax())
        ids, order = self.ids[:, :used].sort(dim=-1)
        found = draw_each(self.weights[:, :used].gather(-1, order), chances)
        drawn = torch.tensor(found, device=ids.device)
        tokens: list[int] = ids.gather(-1, drawn[:, None])[:, 0].tolist()
        return tokens
