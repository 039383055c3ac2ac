"""More places than tokens, whose repetitions and blanks collapse (CTC-NAT, arXiv 1811.04719)."""

from dataclasses import dataclass
from typing import final

import torch

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
            found = best_path(law, counts, blank=blank)
        else:
            (found,) = prefix_beam(law, counts, blank=blank, width=self.width)
        return [Written((*one.tokens, self.end), one.score) for one in found]
