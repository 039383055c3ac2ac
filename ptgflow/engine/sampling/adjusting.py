"""Penalties, biases and what is ruled out: the first steps from logits to a distribution."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from ptgflow.engine.sampling.picking import picked
from ptgflow.engine.sampling.places import Line


def adjusted(
    logits: Float[Tensor, "positions vocab"], lines: Sequence[Line], rows: Sequence[int]
) -> Float[Tensor, "rows vocab"]:
    """The logits of some lines after repetition penalty, presence penalty and bias, in this order; -inf if ruled out.

    They are computed in the precision of the logits, which is at least single precision where anything is changed.
    Without a change the logits themselves may come back, so the result is only for reading.

    Args:
        logits: of all lines of the pass.
        lines: what each line of logits is.
        rows: which lines are wanted, ascending.
    """
    chosen = picked(logits, rows)
    changing = [at for at, row in enumerate(rows) if lines[row].place.history.changes]
    limited = [at for at, row in enumerate(rows) if lines[row].place.allowed is not None]
    if not changing and not limited:
        return chosen
    half = chosen.dtype in (torch.float16, torch.bfloat16)
    chosen = chosen.to(torch.float32 if half else chosen.dtype, copy=True)
    if changing:
        _change(chosen, lines, rows, changing)
    for at in limited:
        allowed = lines[rows[at]].place.allowed
        assert allowed is not None, "only such lines are limited"
        chosen[at].masked_fill_(~allowed, -torch.inf)
    return chosen


def _change(
    chosen: Float[Tensor, "rows vocab"], lines: Sequence[Line], rows: Sequence[int], changing: Sequence[int]
) -> None:
    """Write penalties and biases into the logits of some of the rows."""
    where, ids, terms = _after_text(lines, rows, changing, chosen.device)
    new = _changed(chosen[where, ids], terms)
    path_where, path_ids, path_terms = _after_paths(lines, rows, changing, chosen.device)
    # Read before anything is written: what a path makes of a logit replaces what the text made of it.
    new_on_paths = _changed(chosen[path_where, path_ids], path_terms)
    chosen[where, ids] = new
    chosen[path_where, path_ids] = new_on_paths


def _changed(values: Float[Tensor, " entries"], terms: Float64[Tensor, "3 entries"]) -> Float[Tensor, " entries"]:
    """Logits after the three terms of `History.terms`.

    The repetition penalty is that of Keskar et al., "CTRL", arXiv 1909.05858, section 4.1, in the form that keeps the
    sign of a logit. The presence penalty and the bias are those of OpenAI's interface.
    """
    repetition, presence, bias = terms.to(values.dtype)
    return torch.where(values < 0, values * repetition, values / repetition) - presence + bias


def _after_text(
    lines: Sequence[Line], rows: Sequence[int], changing: Sequence[int], device: torch.device
) -> tuple[Int[Tensor, " entries"], Int[Tensor, " entries"], Float64[Tensor, "3 entries"]]:
    """Line, token and terms of what the text changes."""
    histories = [lines[rows[at]].place.history for at in changing]
    counts = torch.tensor([len(history.ids) for history in histories], device=device)
    where = torch.tensor(changing, device=device).repeat_interleave(counts)
    ids = torch.cat([history.ids for history in histories])
    return where, ids, torch.cat([history.terms for history in histories], dim=1)


def _after_paths(
    lines: Sequence[Line], rows: Sequence[int], changing: Sequence[int], device: torch.device
) -> tuple[Int[Tensor, " entries"], Int[Tensor, " entries"], Float64[Tensor, "3 entries"]]:
    """Line, token and terms of what the proposals in front of each line change."""
    found = [
        (at, token, lines[rows[at]].place.history.once_written(token))
        for at in changing
        if lines[rows[at]].place.history.remembers
        for token in set(lines[rows[at]].path)
    ]
    where = torch.tensor([at for at, _, _ in found], dtype=torch.long, device=device)
    ids = torch.tensor([token for _, token, _ in found], dtype=torch.long, device=device)
    terms = torch.tensor([terms for _, _, terms in found], dtype=torch.float64, device=device)
    return where, ids, terms.reshape(-1, 3).T
