"""Whether asking a drafter of many rows pays: its own time counts, too (survey, Eq. 6: A / (L(Mp) + L(Mq)))."""

from dataclasses import dataclass
from typing import Final

_FRESH: Final = 0.15
"""Weight of the last round in a moving average."""
_LONGEST: Final = 48
"""Most rounds before a drafter that did not pay is tried again."""


@dataclass(slots=True)
class Gain:
    """What one row has of its joint drafters."""

    kept: float = 1.0
    """Proposals kept in a round in which they drafted, a moving average. It starts where drafting is tried."""
    nodes: float = 8.0
    """Proposals verified in such a round."""
    seconds: float = 0.0
    """Time that they took, this row's share."""
    pause: int = 0
    """Rounds in which they are not to be asked."""
    last_pause: int = 0
    asked: bool = False
    """Whether they draft in this round."""

    def ask(self) -> bool:
        """Whether they are asked in the round that begins."""
        self.asked = self.pause == 0
        self.pause = max(self.pause - 1, 0)
        return self.asked

    def took(self, seconds: float) -> None:
        """They have drafted."""
        self.seconds = seconds if not self.seconds else self.seconds + _FRESH * (seconds - self.seconds)

    def learn(self, kept: int, nodes: int) -> None:
        """What became of it."""
        self.kept += _FRESH * (kept - self.kept)
        self.nodes += _FRESH * (nodes - self.nodes)

    def settle(self, *, pays: bool) -> None:
        """Draft again in the next round; or after a pause, which doubles each time that nothing came of it."""
        self.last_pause = 0 if pays else min(max(2 * self.last_pause, 2), _LONGEST)
        self.pause = self.last_pause
