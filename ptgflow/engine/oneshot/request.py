"""What is asked of a loop that writes whole texts in one pass."""

from dataclasses import dataclass, field

from ptgflow.contracts.settings import Sampling
from ptgflow.engine.oneshot.reading.reader import Reader
from ptgflow.engine.oneshot.windows import Windows


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShotRequest:
    """One text."""

    prompt_ids: tuple[int, ...]
    windows: Windows
    """Who fills windows."""
    reader: Reader
    """What makes texts of them."""
    size: int
    """Places of the window."""
    max_new_tokens: int
    """The text is cut there; at least 1."""
    lengths: int = 0
    """How many lengths are tried, the likeliest ones, each in a window that is told it. 0: none is told."""
    rescored: int = 0
    """Among how many of the best texts the model itself chooses, reading them in one more pass; 0: it does not."""
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    stop: tuple[str, ...] = ()
    visible: bool = True
    """Whether the text is part of the answer, or only planning."""
