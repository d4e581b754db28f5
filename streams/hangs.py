"""Ends this process where something in it hangs, since a thread cannot be killed and a process can.

Threads know which work they run for, so work whose thread goes on after it was interrupted is noticed. A loop that
stands still is noticed too, even by native code that never lets another Python thread run: then a thread of the
interpreter's own writes down where everybody was, and ends the process. Whoever started it starts it again; what it had
in hand goes on as after any crash.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

import structlog

P = ParamSpec("P")
T = TypeVar("T")

#: What the process ends with; a standard one for a fault inside a program.
EXIT_CODE: Final = 70
#: How often, within the time it may stand still, the loop shows that it does not.
_BEATS: Final = 4
_log = structlog.get_logger(__name__)


class Threads(AbstractContextManager["Threads"]):
    """The threads that run for one piece of work: those that `asyncio.to_thread` starts inside this block."""

    def __init__(self) -> None:
        self._lock, self._running = threading.Lock(), 0
        self._token: Token[Threads | None] | None = None

    @property
    def running(self) -> int:
        """How many have begun and not ended."""
        return self._running

    def counted(self, work: Callable[[], T]) -> T:
        """Runs `work` as one of them."""
        with self._lock:
            self._running += 1
        try:
            return work()
        finally:
            with self._lock:
                self._running -= 1

    def __enter__(self) -> Self:
        """From here on threads of this task are counted."""
        self._token = _mine.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No more are; those that run still are."""
        if self._token is not None:
            _mine.reset(self._token)


_mine: ContextVar[Threads | None] = ContextVar("threads", default=None)


class CountingExecutor(ThreadPoolExecutor):
    """A loop's default executor whose threads are counted for the work that asked for them."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Called by the loop in the context of the work."""
        threads = _mine.get()
        if threads is None:
            return super().submit(fn, *args, **kwargs)
        return super().submit(threads.counted, lambda: fn(*args, **kwargs))


async def beat(hang_s: float) -> None:
    """Ends the process, with a trace of all threads on standard error, once this loop stood still for `hang_s`."""
    try:
        while True:
            faulthandler.dump_traceback_later(hang_s, exit=True)
            await asyncio.sleep(hang_s / _BEATS)
    finally:
        faulthandler.cancel_dump_traceback_later()


def end_process(why: str, **what: Any) -> None:  # noqa: ANN401 - for the log line, which takes anything
    """Ends it now, with a log line and a trace of all threads; nothing is closed or waited for."""
    _log.critical("process.hangs", why=why, exit_code=EXIT_CODE, **what)
    sys.stdout.flush()
    faulthandler.dump_traceback(all_threads=True)
    os._exit(EXIT_CODE)
