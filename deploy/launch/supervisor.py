"""Runs the factory: servers first, then all processes; ready when each answers; the other way round at the end.

Whatever dies is started again, servers included. Nothing is left behind: not after Ctrl-C, not after TERM, and the
kernel tells the children when the launcher itself is killed. Only one Python thread may do all this: children are
told of the death of the thread that started them.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from deploy.launch.child import Backoff, Child
from deploy.launch.output import Output
from deploy.launch.program import Program

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """The children of one factory."""

    def __init__(
        self,
        servers: Sequence[Program],
        workers: Sequence[Program],
        output: Output,
        *,
        backoff: Backoff | None = None,
        grace_s: float = 10.0,
    ) -> None:
        """Nothing is started yet; `grace_s` is how long a child may take to end."""
        backoff = backoff or Backoff()
        self.servers = tuple(Child(program, output, backoff) for program in servers)
        self.workers = tuple(Child(program, output, backoff) for program in workers)
        self._output, self._grace_s = output, grace_s

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The factory runs and is ready inside this block, and is gone after it.

        Raises ConfigurationError, after ending all, when something does not start.
        """
        try:
            for children in (self.servers, self.workers):
                for child in children:
                    child.start()
                await _all(child.ready() for child in children)
            yield
        finally:
            stopping = asyncio.create_task(self._stop())
            while not stopping.done():
                with contextlib.suppress(asyncio.CancelledError):  # a signal now may hurry it, not prevent it
                    await asyncio.shield(stopping)

    async def _stop(self) -> None:
        self._output.line("launcher", "ending; Ctrl-C again ends it at once")
        for children in (self.workers, self.servers):
            await _all(child.stop(self._grace_s) for child in children)

    def kill(self) -> None:
        """End everything at once."""
        for child in (*self.workers, *self.servers):
            child.kill()

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """Run `work` to its end in a loop of its own; the first signal cancels it, a second one kills all children.

        Returns what `work` returned, or None when a signal ended it.
        """
        return asyncio.run(self._interruptible(work))

    async def _interruptible(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        task = asyncio.create_task(work())

        def on_signal() -> None:
            if task.cancelling():
                self.kill()
            else:
                task.cancel()

        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, on_signal)
        with contextlib.suppress(asyncio.CancelledError):
            return await task
        return None


async def _all(waits: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; the first failure cancels the others and is raised as itself."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
