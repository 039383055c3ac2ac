"""The seam of taggers: from words to the probability of each tag at each of them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Found = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Of some words: the probability of each tag, and the probability that something is wrong with the word."""


class TaggerNetwork(Protocol):
    """What an editor needs of a tagger."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Names of the tags."""
        ...

    @property
    def budget(self) -> int:
        """Most pieces of words in a window."""
        ...

    @property
    def starts(self) -> bool:
        """Whether it wants to see `$START` before the first word, behind which something may be inserted."""
        ...

    def pieces(self, words: Sequence[str]) -> list[int]:
        """Into how many pieces each word is cut; 0: it is not known, and is not edited."""
        ...

    def read(self, words: Sequence[str]) -> Found:
        """Read one window. What is said of it depends on nothing else."""
        ...
