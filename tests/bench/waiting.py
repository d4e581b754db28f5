"""Waiting that Ctrl-C and TERM end, at a place where everything can still be cleaned up.

A KeyboardInterrupt out of the blue may be swallowed while a process is being forked, or break off a clean-up. So a
signal only leaves a note, and the next wait raises.
"""

from __future__ import annotations

import signal
import time
from typing import Final

_SLICE_S: Final = 0.1
_signals: Final[list[int]] = []


def listen() -> None:
    """From now on signals are noted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: _signals.append(number))


def wait(seconds: float) -> None:
    """Sleeps; raises KeyboardInterrupt when a signal has come, before or meanwhile."""
    until_s = time.monotonic() + seconds
    while True:
        if _signals:
            raise KeyboardInterrupt
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            return
        time.sleep(min(left_s, _SLICE_S))
