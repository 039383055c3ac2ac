"""Windows behind drawn places of answers, with drawn holes: what masked diffusion is learnt from."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ptgflow.train.batches import Batch
from ptgflow.train.objectives.gating import drawn_anchors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """What is drawn for one batch."""

    anchors: Int[Tensor, "batch anchors"]
    """Places of the text behind which the windows stand."""
    tokens: Int[Tensor, "batch anchors window"]
    """What stands in them."""
    holes: Bool[Tensor, "batch anchors window"]
    """What is masked of it."""
    learnt: Bool[Tensor, "batch anchors window"]
    """Where a token is known, in windows that are any."""
    share: Float[Tensor, "batch anchors one"]
    """t: the chance with which a place of the window was masked."""
    count: int
    """Windows that are any."""


def drawn_windows(
    batch: Batch,
    end_ids: Collection[int],
    *,
    length: int,
    anchors: int,
    noise: tuple[float, float],
    generator: torch.Generator,
) -> Windows:
    """Draw windows of `length` places, at most so many for each answer.

    Behind the end of an answer that the base ended itself every place has the end token.
    """
    device = batch.tokens.device
    tokens, known = _continued(batch, end_ids, length)
    able = torch.zeros_like(batch.answers)
    # An anchor has a token of the answer behind it.
    able[:, :-1] = batch.answers[:, 1:]
    at, valid = drawn_anchors(able, anchors, generator)
    places = at[..., None] + torch.arange(1, length + 1, device=device)
    rows = torch.arange(len(tokens), device=device)[:, None, None]
    share = torch.rand(*at.shape, 1, generator=generator) * (noise[1] - noise[0]) + noise[0]
    holes = (torch.rand(places.shape, generator=generator) < share).to(device)
    return Windows(
        anchors=at,
        tokens=tokens[rows, places],
        holes=holes,
        learnt=known[rows, places] & valid[..., None],
        share=share.to(device),
        count=int(valid.sum()),
    )


def _continued(
    batch: Batch, end_ids: Collection[int], length: int
) -> tuple[Int[Tensor, "batch long"], Bool[Tensor, "batch long"]]:
    """The texts with end tokens behind those that have ended, and which places are known."""
    ends = torch.tensor(sorted(end_ids), device=batch.tokens.device)
    width = batch.tokens.shape[1] + length
    place = torch.arange(width, device=batch.tokens.device)
    tokens, answers = F.pad(batch.tokens, (0, length)), F.pad(batch.answers, (0, length))
    last = (answers * place).argmax(dim=1, keepdim=True)
    ending = tokens.gather(1, last)
    behind = (place > last) & torch.isin(ending, ends)
    return torch.where(behind, ending, tokens), answers | behind
