"""Each place by itself (NAT, arXiv 1711.02281)."""

from dataclasses import dataclass
from typing import ClassVar, final

from ptgflow.engine.oneshot.reading.reader import Reader, Window
from ptgflow.engine.oneshot.written import Written


@final
@dataclass(frozen=True)
class ArgmaxReader(Reader):
    """The likeliest token of each place, or its draw; scored by the sum of their log-probabilities."""

    end: int
    """Ends a text whose length was told."""
    draws: ClassVar[bool] = True

    def read(self, window: Window) -> list[Written]:
        count = len(window.tokens) if window.told is None else window.told
        tokens = window.tokens[:count]
        places = window.scores_of(tokens)
        return [Written(tokens if window.told is None else (*tokens, self.end), sum(places), places)]
