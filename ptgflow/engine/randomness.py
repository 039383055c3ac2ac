"""Uniform numbers that are a function of seed, position and purpose, so a row's text never depends on its batch."""

from enum import IntEnum
from typing import Final, Protocol, runtime_checkable

_MASK: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15


class Purpose(IntEnum):
    """What a uniform number decides. Each purpose has numbers of its own at every position."""

    DRAW = 0
    """Which token the target writes where nothing was proposed, or under the `match` rule."""
    ACCEPT = 1
    """Whether a proposal is kept."""
    RESIDUAL = 2
    """Which token is drawn from the residual distribution after a rejection."""
    DRAFT = 3
    """Which token a draft model proposes."""


@runtime_checkable
class Uniforms(Protocol):
    """A row's source of uniform numbers; the tests put an enumeration in its place."""

    def __call__(self, position: int, purpose: Purpose, attempt: int = 0) -> float:
        """A number in [0, 1) for the token at `position` of the answer, counted from 0.

        What is decided several times at one position, as for siblings of a tree, has a number for each `attempt`.
        """
        ...


def uniform(seed: int, position: int, purpose: Purpose, attempt: int = 0) -> float:
    """A number in [0, 1) with 53 random bits, the same on every machine.

    The integers are hashed one after the other with the finaliser of SplitMix64 (Steele, Lea and Flood,
    "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 13).
    """
    state = _mix((seed + _GOLDEN) & _MASK)
    # The first attempt is left out, so that it is the number of a position where there is only one.
    for part in (position, int(purpose), attempt) if attempt else (position, int(purpose)):
        state = _mix((state + _GOLDEN + part) & _MASK)
    return (state >> 11) * 2.0**-53


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
