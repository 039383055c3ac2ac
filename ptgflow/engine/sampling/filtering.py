"""The distributions of many lines at once, equal to their definition but without sorting the vocabulary.

Filters keep the likeliest tokens of a line, mostly few. So a line's largest logits are looked at first. Where they
decide what is kept, the rest of the vocabulary does not matter; where they do not, more are looked at, and in the end
the definition is computed. Which way is taken depends on the line alone, so a line's result is the same, bit for bit,
in any batch: all that is computed here for several lines is computed for each by itself.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from ptgflow.contracts.settings import Sampling
from ptgflow.engine.sampling.blocks import largest
from ptgflow.engine.sampling.definition import defined_law, filters, limit, log_floor
from ptgflow.engine.sampling.draws import MARGIN, block_sums
from ptgflow.engine.sampling.laws import Laws, Narrow, Open, Wide, softmax
from ptgflow.engine.sampling.picking import picked

LOOKS: Final = (64, 256, 2048)
"""How many of a line's largest logits are looked at, at first and then. With the embedded model at temperature 0.8 and
top-p 0.9 the first are enough for 97 lines of 100, at temperature 1 and top-p 0.95 for 72 and the second for 94; the
third always were."""
_AT_ONCE: Final = 8
"""Lines that go through the whole vocabulary together: few enough that a processor's cache holds them."""


def laws_of(scores: Float[Tensor, "rows vocab"], samplings: Sequence[Sampling]) -> list[tuple[Sequence[int], Laws]]:
    """The distributions that are sampled, in groups: which lines, and theirs.

    Args:
        scores: logits after penalties and biases.
        samplings: that of each line; all temperatures are positive.
    """
    vocab = scores.shape[-1]
    found: list[tuple[Sequence[int], Laws]] = []
    open_ = [row for row, sampling in enumerate(samplings) if not filters(sampling, vocab)]
    if open_:
        found.append((open_, _unfiltered(scores, samplings, open_)))
    left: Sequence[int] = [row for row, sampling in enumerate(samplings) if filters(sampling, vocab)]
    for look in LOOKS:
        if left:
            rows, laws, left = _looked(scores, samplings, left, look)
            found += [(rows, laws)] if rows else []
    if left:
        found.append((left, Wide(torch.stack([defined_law(scores[row], samplings[row]) for row in left]))))
    return found


def _unfiltered(scores: Float[Tensor, "rows vocab"], samplings: Sequence[Sampling], rows: Sequence[int]) -> Open:
    parts = [(block_sums(shares), shares.amax(dim=-1, keepdim=True)) for _, shares in _whole(scores, samplings, rows)]
    mine = picked(scores, rows)
    temperatures = _column([samplings[row].temperature for row in rows], scores)
    return Open(
        scores=mine,
        temperatures=temperatures,
        highest=mine.amax(dim=-1, keepdim=True).double() / temperatures,
        sums=torch.cat([sums for sums, _ in parts]),
        peaks=torch.cat([peaks for _, peaks in parts]),
    )


def _looked(
    scores: Float[Tensor, "rows vocab"], samplings: Sequence[Sampling], rows: Sequence[int], look: int
) -> tuple[Sequence[int], Narrow, Sequence[int]]:
    """Lines that their `look` largest logits decide, the distributions of those, and the other lines."""
    vocab = scores.shape[-1]
    mine = [samplings[row] for row in rows]
    values, ids = largest(picked(scores, rows), look)
    tempered = values.double() / _column([sampling.temperature for sampling in mine], scores)
    keep = torch.ones_like(tempered, dtype=torch.bool)
    limits = [limit(sampling, vocab) for sampling in mine]
    doubtful = torch.zeros_like(keep[:, 0])
    if any(most is not None for most in limits):
        keep = _top_k(tempered, limits)
        if tempered.shape[-1] < vocab:
            # Equal ones may not have been looked at, and top-p would have to count them.
            doubtful = keep[:, -1] & torch.tensor([most is not None for most in limits], device=keep.device)
    if any(sampling.top_p < 1.0 for sampling in mine):
        shares = _shares(scores, samplings, rows, tempered, keep, ids)
        before = shares.cumsum(dim=-1) - shares
        # No share before a token is 2, so that there nothing is dropped.
        edge = _column([sampling.top_p if sampling.top_p < 1.0 else 2.0 for sampling in mine], scores)
        doubtful = doubtful | ((before - edge).abs() < MARGIN).any(dim=-1)
        keep = keep & (before < edge)
    if any(sampling.min_p > 0.0 for sampling in mine):
        floor = _column([log_floor(sampling) for sampling in mine], scores)
        keep = keep & ~(tempered - tempered[:, :1] < floor)
    if tempered.shape[-1] < vocab:
        # What was not looked at is at most as large as the least that was: if that is dropped, so is the rest.
        doubtful = doubtful | (keep & (tempered == tempered[:, -1:])).any(dim=-1)
    ids = _first_of_equals(tempered, keep, ids)
    weights = tempered.masked_fill(~keep, -torch.inf).softmax(dim=-1)
    doubts: list[bool] = doubtful.tolist()
    if not any(doubts):
        return rows, Narrow(ids, weights, vocab), ()
    sure = [at for at, doubt in enumerate(doubts) if not doubt]
    unsure = [row for row, doubt in zip(rows, doubts, strict=True) if doubt]
    return [rows[at] for at in sure], Narrow(ids[sure], weights[sure], vocab), unsure


def _top_k(tempered: Float64[Tensor, "rows few"], limits: Sequence[int | None]) -> Bool[Tensor, "rows few"]:
    """What top-k keeps. Where k is above what is looked at, all, among them the least: so more is looked at."""
    few = tempered.shape[-1]
    at = torch.tensor([few - 1 if most is None else min(most, few) - 1 for most in limits], device=tempered.device)
    return tempered >= tempered.gather(-1, at[:, None])


def _shares(
    scores: Float[Tensor, "rows vocab"],
    samplings: Sequence[Sampling],
    rows: Sequence[int],
    tempered: Float64[Tensor, "some few"],
    keep: Bool[Tensor, "some few"],
    ids: Int[Tensor, "some few"],
) -> Float64[Tensor, "some few"]:
    """The probabilities that top-p adds up: after top-k, or among the whole vocabulary where there is no top-k."""
    vocab = scores.shape[-1]
    shares = tempered.masked_fill(~keep, -torch.inf).softmax(dim=-1)
    if tempered.shape[-1] == vocab:
        return shares
    among_all = [
        at for at, row in enumerate(rows) if limit(samplings[row], vocab) is None and samplings[row].top_p < 1.0
    ]
    for part, whole in _whole(scores, samplings, [rows[at] for at in among_all]):
        here = among_all[part]
        shares[here] = whole.gather(-1, ids[here])
    return shares


def _whole(
    scores: Float[Tensor, "rows vocab"], samplings: Sequence[Sampling], rows: Sequence[int]
) -> Iterator[tuple[slice, Float64[Tensor, "part vocab"]]]:
    """The distributions of some lines before any filter, a few lines at a time."""
    for begin in range(0, len(rows), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        temperature = _column([samplings[row].temperature for row in rows[part]], scores)
        yield part, softmax(picked(scores, rows[part]), temperature)


def _first_of_equals(
    tempered: Float64[Tensor, "rows few"], keep: Bool[Tensor, "rows few"], ids: Int[Tensor, "rows few"]
) -> Int[Tensor, "rows few"]:
    """The tokens; where the edge of top-p parts equal ones, in an order in which the first are kept."""
    parted = ((tempered[:, :-1] == tempered[:, 1:]) & keep[:, :-1] & ~keep[:, 1:]).any(dim=-1)
    if not bool(parted.any()):
        return ids
    ascending, order = ids.sort(dim=-1)
    again = tempered.gather(-1, order).sort(dim=-1, descending=True, stable=True).indices
    return ascending.gather(-1, again).where(parted[:, None], ids)


def _column(numbers: Sequence[float], like: Tensor) -> Float64[Tensor, "rows 1"]:
    return torch.tensor(numbers, dtype=torch.float64, device=like.device)[:, None]
