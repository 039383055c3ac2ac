"""More places than tokens, whose repetitions and blanks collapse (CTC-NAT, arXiv 1811.04719)."""

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.oneshot.ctc import best_path
from ptgflow.engine.oneshot.ctc_beam import prefix_beam
from ptgflow.engine.oneshot.network import OneShotHeads
from ptgflow.engine.oneshot.reading.reader import Reader, Window
from ptgflow.engine.oneshot.written import Written


@final
@dataclass(frozen=True)
class CtcReader(Reader):
    """The text of the likeliest alignment; or the likeliest texts over all alignments that a search has followed."""

    heads: OneShotHeads
    end: int
    """Closes each text: all of it is written."""
    width: int | None = None
    """Texts that are kept after each place; None: the likeliest alignment alone is looked at."""

    def read(self, window: Window) -> list[Written]:
        law = self.heads.labels(window.logits[None], window.states[None]).log_softmax(dim=-1)
        counts = torch.tensor([law.shape[1]], device=law.device)
        blank = law.shape[-1] - 1
        if self.width is None:
            (found,) = best_path(law, counts, blank=blank)
            return [Written((*found.tokens, self.end), found.score, _surest(law[0], blank))]
        (texts,) = prefix_beam(law, counts, blank=blank, width=self.width)
        return [Written((*one.tokens, self.end), one.score) for one in texts]


def _surest(law: Float[Tensor, "places labels"], blank: int) -> tuple[float, ...]:
    """For each token of the likeliest alignment how likely the surest of its places finds it."""
    best = law.max(dim=-1)
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    runs = ((label, [score for _, score in run]) for label, run in groupby(pairs, key=itemgetter(0)))
    return tuple(max(scores) for label, scores in runs if label != blank)
