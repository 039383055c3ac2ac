"""Windows of masks behind prompts: a pass over many rows, each with as many windows or candidate texts as it likes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, final

import torch

from ptgflow.engine.canvas.gated_pass import GatedPass, Seen
from ptgflow.engine.canvas.kept_texts import KeptTexts
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.oneshot.network import OneShotHeads
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAsk:
    """What is wanted of one row in one round."""

    row: int
    """As `admit` numbered it."""
    trees: tuple[TokenTree, ...]
    """What stands behind the prompt, each by itself."""
    masked: bool
    """Whether that are the places of windows, where adapters are on, or text that the model itself reads."""


@final
class Windows:
    """A `Source` for rows of one-shot generation, with slots of its own for the prompt of each."""

    def __init__(self, heads: Heads, model: LoadedModel, *, budget: int | None = None) -> None:
        """Lay adapters beside the model's weights, which are shared.

        Args:
            heads: of kind `oneshot`.
            model: what they were trained for.
            budget: most bytes of keys and values; None: no bound.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out.
        """
        self.heads: Final = OneShotHeads(heads.config).to(model.device).eval().requires_grad_(False)
        """What reads the states of windows."""
        heads.fill(self.heads)
        self._pass = GatedPass(heads, model)
        self.hole: Final = self._pass.hole
        """The id of a mask, which is no token's."""
        self._texts = KeptTexts(self._pass, budget=budget)

    def admit(self, prompt: tuple[int, ...], size: int) -> int:
        """A row for windows behind a prompt of at least one token."""
        del size
        return self._texts.admit(prompt)

    def free(self, row: int) -> None:
        """Drop a row's keys and values."""
        self._texts.free(row)

    def predict(self, asks: list[WindowAsk]) -> list[tuple[Seen, ...]]:
        """One pass: for each tree of each row what is seen after the prompt, and then after each node.

        What is long of a prompt is read before it.

        Raises:
            SlotsFullError: there is no memory for what is new; no row has lost anything.
        """
        ends = self._texts.ready({ask.row: () for ask in asks})
        copies: list[int] = []
        try:
            inputs = [
                replace(end, tree=tree, mutual=ask.masked)
                for ask in asks
                for tree, end in zip(ask.trees, self._ends(ends[ask.row], len(ask.trees), copies), strict=True)
            ]
            seen = self._pass.seen(self._texts.cache, inputs)
        finally:
            for copy in copies:
                self._texts.cache.free(copy)
        self._texts.commit(ends)
        return _parted(seen, asks)

    def _ends(self, end: RowInput, count: int, copies: list[int]) -> list[RowInput]:
        """The end of a prompt so many times, each time in slots of its own."""
        found = [end]
        for _ in range(count - 1):
            copies.append(self._texts.cache.fork(end.row))
            found.append(replace(end, row=copies[-1]))
        return found


def _parted(seen: Seen, asks: Sequence[WindowAsk]) -> list[tuple[Seen, ...]]:
    """What was asked for by each row, tree by tree."""
    sizes = [1 + len(tree) for ask in asks for tree in ask.trees]
    parts = iter(
        Seen(logits=logits, states=states)
        for logits, states in zip(torch.split(seen.logits, sizes), torch.split(seen.states, sizes), strict=True)
    )
    return [tuple(next(parts) for _ in ask.trees) for ask in asks]
