"""Length policies: how many places a new canvas gets, and where and when its text ends."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, final, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A canvas after a round, as a policy sees it."""

    tokens: Sequence[int]
    """At holes whatever."""
    holes: Collection[int]
    said: Mapping[int, int]
    """What would have been written at holes of the block that this round has left open."""
    block: range
    final: int
    """The first place that may still change."""
    end_ids: Collection[int]
    """Tokens that end a text."""

    @property
    def written_ends(self) -> list[int]:
        """Places with an end token that stays, ascending."""
        return [place for place in range(self.final) if self.tokens[place] in self.end_ids]

    def says_end(self, place: int) -> bool:
        """Whether an end token is written at a place, or would be."""
        return (self.said.get(place, -1) if place in self.holes else self.tokens[place]) in self.end_ids


@dataclass(frozen=True, slots=True)
class Extent:
    """How far the text goes."""

    length: int
    """Places that are text for sure."""
    over: bool
    """Whether it ends there, so that nothing more has to be written."""


@runtime_checkable
class LengthPolicy(Protocol):
    """Decides on lengths. It has no state, so one serves many rows."""

    ends: ClassVar[bool]
    """Whether end tokens are written at all."""

    def size(self, most: int) -> int:
        """Places of a new canvas, of which there may be so many."""
        ...

    def extent(self, progress: Progress) -> Extent:
        """How far the text goes after a round."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The text has the length of the canvas: no end token is written."""

    ends: ClassVar[bool] = False

    def size(self, most: int) -> int:
        return most

    def extent(self, progress: Progress) -> Extent:
        return Extent(progress.final, over=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """A canvas of `places`, or as many as there may be, in which end tokens are written."""

    ends: ClassVar[bool] = True

    places: int | None = None

    def __post_init__(self) -> None:
        assert self.places is None or self.places >= 1, "a canvas has a place"

    def size(self, most: int) -> int:
        """Places of a new canvas."""
        return most if self.places is None else min(self.places, most)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed(Bounded):
    """The whole canvas is filled; the text goes up to the first end token in it (LLaDA, arXiv 2502.09992)."""

    def extent(self, progress: Progress) -> Extent:
        ends = progress.written_ends
        return Extent(ends[0] if ends else progress.final, over=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FirstEnd(Bounded):
    """The text ends at the first end token, as soon as all before it is written.

    Where nothing is opened again it is that of `Fixed`: what stands before that token changes no more, and what would
    stand behind it is none of the text.
    """

    def extent(self, progress: Progress) -> Extent:
        ends = progress.written_ends
        return Extent(ends[0], over=True) if ends else Extent(progress.final, over=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class UntilEnd(Bounded):
    """The text ends at an end token that every later place of its block agrees on: one stands or is said there, too.

    One that is disputed ends nothing and is left out of the text, which goes on behind it; so a single place at which
    a model says too soon that the text ends does not cut it short.
    """

    def extent(self, progress: Progress) -> Extent:
        for place in progress.written_ends:
            rest = range(place + 1, progress.block.stop)
            if place in progress.block and all(progress.says_end(one) for one in rest):
                return Extent(place, over=True)
        return Extent(progress.final, over=False)
