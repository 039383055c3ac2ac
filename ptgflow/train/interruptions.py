"""Ctrl-C and SIGTERM as a wish to stop after the step that is under way, so that nothing half done is ever saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Wish:
    """Whether somebody wants to stop."""

    asked: bool = False


@contextmanager
def wish_to_stop() -> Iterator[Wish]:
    """Take signals as a wish, which whoever works looks at between two steps. A second one interrupts at once.

    A signal that is ignored stays so, as that of a terminal does for what runs in the background. Only the main thread
    may listen; in another one nobody ever asks.
    """
    wish = Wish()

    def take(number: int, frame: FrameType | None) -> None:
        if wish.asked:
            raise KeyboardInterrupt
        wish.asked = True

    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {one: signal.getsignal(one) for one in _SIGNALS}
    taken = [one for one, handler in before.items() if handler is not signal.SIG_IGN]
    try:
        for one in taken:
            signal.signal(one, take)
        yield wish
    finally:
        for one in taken:
            # None stands for a handler that was not set from Python, and cannot be set from there.
            signal.signal(one, before[one] if before[one] is not None else signal.SIG_DFL)
