"""What selectors and re-maskers without a memory share."""

from typing import Self


class Memoryless:
    """A rule whose answer depends on nothing but the round that it is shown, so that one serves every block."""

    __slots__ = ()

    def opened(self) -> Self:
        """Itself: there is nothing to forget."""
        return self
