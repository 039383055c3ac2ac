"""What rows are with a denoiser: one row of it, or with classifier-free guidance two, asked in the same pass."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.canvas_row import CanvasRow
from ptgflow.engine.canvas.guidance import ClassifierFree
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.rules import CanvasAsk, Denoiser


@final
@dataclass(frozen=True, slots=True)
class Asked:
    """The numbers of a row with the denoiser."""

    row: int
    without: int | None = None
    """The same canvas without its prompt, where guidance wants it."""


def admitted(denoiser: Denoiser, request: CanvasRequest) -> Asked:
    """Tell a denoiser of a row."""
    prompt, size = request.prompt_ids, len(request.canvas)
    row = denoiser.admit(prompt, size)
    if not isinstance(request.guidance, ClassifierFree):
        return Asked(row)
    return Asked(row, denoiser.admit(request.guidance.prompt, size))


def released(denoiser: Denoiser, asked: Asked) -> None:
    """Let a row leave."""
    denoiser.free(asked.row)
    if asked.without is not None:
        denoiser.free(asked.without)


def predicted(denoiser: Denoiser, rows: Sequence[tuple[CanvasRow, Asked]]) -> list[Float[Tensor, "lines vocab"]]:
    """One pass over all rows; of each what the model says, steered where guidance steers.

    Raises:
        SlotsFullError: there is no memory for it; no row has changed.
    """
    asks: list[CanvasAsk] = []
    for row, asked in rows:
        ask = row.ask(asked.row)
        asks += [ask] if asked.without is None else [ask, replace(ask, row=asked.without)]
    lines = iter(denoiser.predict(asks))
    found: list[Tensor] = []
    for row, _ in rows:
        guidance, logits = row.request.guidance, next(lines)
        found.append(guidance.steer(logits, next(lines)) if isinstance(guidance, ClassifierFree) else logits)
    return found
