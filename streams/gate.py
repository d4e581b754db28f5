"""Whether this process may take work, and whether work that runs may go on.

Thread-safe. Stopping is for good. It decides nothing: whoever knows the record sets it, everybody else asks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

from streams.interrupts import Halted, ShuttingDown

State = Literal["open", "paused", "halted", "stopping"]


class Gate:
    """Open, paused (running work ends, nothing new begins), halted (running work stops too) or stopping."""

    def __init__(self, state: State = "open", *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._state: State = state
        self._now_s = now_s
        #: Seconds that were spent halted, up to the last change of state.
        self._halted_s = 0.0
        self._since_s = now_s()
        self._changed = threading.Condition()
        self._callbacks: list[Callable[[State], None]] = []

    @property
    def state(self) -> State:
        """The state of this moment."""
        return self._state

    def set(self, state: State) -> None:
        """Changes the state and tells those who asked; without effect once stopping."""
        with self._changed:
            if self._state in (state, "stopping"):
                return
            self._halted_s = self._halted_so_far_s()
            self._since_s, self._state = self._now_s(), state
            self._changed.notify_all()
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback(state)

    def stop(self) -> None:
        """The process is ending: shut, and never open again."""
        self.set("stopping")

    def takes(self) -> bool:
        """Whether new work may begin."""
        return self._state == "open"

    def halted_s(self) -> float:
        """Seconds that this process has spent halted so far: what clocks of held work leave out."""
        with self._changed:
            return self._halted_so_far_s()

    def _halted_so_far_s(self) -> float:
        return self._halted_s + (self._now_s() - self._since_s if self._state == "halted" else 0.0)

    def checkpoint(self) -> None:
        """Lets running work go on, or stops it here; called between two calls, between two frames.

        Raises Halted when halted, ShuttingDown when stopping; a pause lets it go on.
        """
        if self._state == "halted":
            raise Halted
        if self._state == "stopping":
            raise ShuttingDown

    def wait_until_open(self, timeout_s: float) -> bool:
        """Waits up to `timeout_s` and says whether the gate is open; a stopping one is waited for in full."""
        with self._changed:
            return self._changed.wait_for(self.takes, timeout_s)

    def on_change(self, callback: Callable[[State], None]) -> None:
        """Calls `callback` with each new state, in the thread that set it; it must be quick."""
        with self._changed:
            self._callbacks.append(callback)
