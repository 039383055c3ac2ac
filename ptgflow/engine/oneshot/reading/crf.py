"""The best text of a chain in which neighbours have a say (NART-CRF, arXiv 1910.11555)."""

from dataclasses import dataclass
from typing import final

import torch

from ptgflow.engine.oneshot.crf import lattice, viterbi
from ptgflow.engine.oneshot.network import OneShotHeads
from ptgflow.engine.oneshot.reading.reader import Reader, Window
from ptgflow.engine.oneshot.written import Written


@final
@dataclass(frozen=True)
class CrfReader(Reader):
    """Viterbi over the likeliest tokens of each place."""

    heads: OneShotHeads
    end: int
    """Ends a text whose length was told."""
    width: int
    """Tokens of each place that are looked at."""

    def read(self, window: Window) -> list[Written]:
        assert self.heads.transitions is not None, "the decoder has transitions"
        count = len(window.tokens) if window.told is None else window.told
        found = lattice(
            window.logits[None, :count],
            torch.tensor([count], device=window.logits.device),
            self.heads.transitions(window.states[None, :count]),
            beam=self.width,
        )
        (best,) = viterbi(found)
        tokens = best.tokens if window.told is None else (*best.tokens, self.end)
        return [Written(tokens, best.score, window.scores_of(best.tokens))]
