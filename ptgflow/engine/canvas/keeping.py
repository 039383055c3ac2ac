"""Which places of a text are computed in a pass, and which are read as an earlier pass left them."""

from collections.abc import Callable, Sequence
from typing import Final, Literal

from ptgflow.contracts.masked_model import MaskedConventions
from ptgflow.engine.canvas.kept_states import KeptStates
from ptgflow.engine.canvas.rules import CanvasAsk
from ptgflow.engine.canvas.text_layout import TextLayout
from ptgflow.engine.prefixes import shared_length

Keeping = Literal["none", "prefix", "dual", "dkv", "dllm"]
"""Names of the ways to keep; what each of them leaves out is said where it is defined."""
DKV_INTERVAL: Final = 8
"""Passes from one that computes everything to the next, with `dkv` (its paper's value for LLaDA)."""

Choose = Callable[[TextLayout, CanvasAsk, tuple[int, ...], KeptStates], Sequence[int]]
"""From a row, what it is asked, the tokens that it shows and what was kept: the places to compute, ascending."""


def chooser(keeping: Keeping, conventions: MaskedConventions) -> Choose | None:
    """How a way to keep chooses; None: nothing is kept.

    With block-causal attention all of them are the same, and exact: no place depends on what changes behind its block.
    Elsewhere `dllm` keeps more than keys and values, and is a denoiser of its own (`FeatureDenoiser`).
    """
    if keeping == "none":
        return None
    return unchanged if conventions.attention == "block_causal" else _BIDIRECTIONAL[keeping]


def unchanged(layout: TextLayout, ask: CanvasAsk, tokens: tuple[int, ...], kept: KeptStates) -> Sequence[int]:
    """Exact under block-causal attention: from the first block with a token that was not there before.

    Every place is computed with the tokens that are kept for those before it, so all that lies before the first
    difference is as a full pass would have it.
    """
    first = shared_length(tokens, kept.tokens)
    if first < len(tokens):
        first = layout.begin_of_block(first)
    return range(min([first, *layout.rows(ask)]), len(tokens))


def prefix(layout: TextLayout, ask: CanvasAsk, tokens: tuple[int, ...], kept: KeptStates) -> Sequence[int]:
    """Prefix cache (Fast-dLLM, arXiv 2505.22618, section 3.2): from the begin of the block.

    A block's first pass computes everything; in those after it what lies before the block is as that pass had it,
    although it would have seen the tokens that were written since. With shifted logits the row before the block is
    computed with it, since it predicts the block's first token.
    """
    first = _first_row(layout, ask)
    if kept.block != ask.block or kept.tokens[:first] != tokens[:first]:
        return range(len(tokens))
    return range(first, len(tokens))


def dual(layout: TextLayout, ask: CanvasAsk, tokens: tuple[int, ...], kept: KeptStates) -> Sequence[int]:
    """Dual cache (the same): the block only; what lies behind it, too, is as the block's first pass had it."""
    first, end = _first_row(layout, ask), len(layout.prompt) + ask.block.stop
    if kept.block != ask.block or kept.tokens[:first] != tokens[:first] or kept.tokens[end:] != tokens[end:]:
        return range(len(tokens))
    return range(first, end)


def delayed(layout: TextLayout, ask: CanvasAsk, tokens: tuple[int, ...], kept: KeptStates) -> Sequence[int]:
    """Delayed cache (dKV-Cache, arXiv 2505.15781, section 3.2): holes, and what was written since the last pass.

    A token is computed once more after it was written, and kept then. Every eighth pass computes everything.
    """
    if kept.since + 1 >= DKV_INTERVAL:
        return range(len(tokens))
    changed = {place for place, (now, then) in enumerate(zip(tokens, kept.tokens, strict=True)) if now != then}
    holes = {len(layout.prompt) + place for place in ask.holes}
    return sorted(changed | holes | set(layout.rows(ask)))


def _first_row(layout: TextLayout, ask: CanvasAsk) -> int:
    """The first place whose row predicts one of the block."""
    begin = len(layout.prompt) + ask.block.start
    return max(begin - 1, 0) if layout.conventions.shifted else begin


_BIDIRECTIONAL: Final[dict[str, Choose]] = {"prefix": prefix, "dual": dual, "dkv": delayed}
