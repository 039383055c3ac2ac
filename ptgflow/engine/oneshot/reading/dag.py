"""A path through a graph of more vertices than the text has tokens (DA-Transformer, arXiv 2205.07459)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch

from ptgflow.engine.oneshot.dag import Dag, Path
from ptgflow.engine.oneshot.network import OneShotHeads
from ptgflow.engine.oneshot.reading.reader import Reader, Window
from ptgflow.engine.oneshot.written import Written

Search = Callable[[Dag], Sequence[Path] | Sequence[Sequence[Written]]]
"""For each row of a graph a path, or the texts that are found, best first."""


@final
@dataclass(frozen=True)
class DagReader(Reader):
    """What a search finds; the last vertex has learnt to write the end token."""

    heads: OneShotHeads
    search: Search

    def read(self, window: Window) -> list[Written]:
        assert self.heads.links is not None, "the decoder has links"
        graph = Dag(
            tokens=window.logits[None].log_softmax(dim=-1),
            links=self.heads.links(window.states[None]),
            counts=torch.tensor([len(window.states)], device=window.states.device),
        )
        (found,) = self.search(graph)
        if isinstance(found, Path):
            return [Written(found.tokens, found.score, window.scores_of(found.tokens, found.vertices))]
        return list(found)
