"""dramatiq's own Worker with a broker that costs nothing: the most that any dramatiq broker can reach.

It has dramatiq's default middleware, and AsyncIO where its actor is a coroutine.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

import dramatiq
from dramatiq.broker import Broker, Consumer, MessageProxy
from dramatiq.message import Message
from dramatiq.middleware import AsyncIO

from tests.bench import probe


class FreeBroker(Broker):
    """Has all jobs in hand from the beginning, and keeps nothing."""

    def declare_queue(self, queue_name: str) -> None:
        """Declares a queue, once."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> FreeConsumer:
        """All jobs."""
        return FreeConsumer(queue_name, prefetch, timeout)


class FreeConsumer(Consumer):
    """As many jobs at once as a consumer of dramatiq's may hold."""

    def __init__(self, queue_name: str, prefetch: int, timeout_ms: int) -> None:
        self._queue_name, self._timeout_s = queue_name, timeout_ms / 1000
        self._next = 0
        self._room = threading.Semaphore(prefetch)

    def __next__(self) -> MessageProxy | None:
        """The next job, or None after `timeout_ms`."""
        if self._next >= probe.JOBS:
            threading.Event().wait(self._timeout_s)
            return None
        if not self._room.acquire(timeout=self._timeout_s):
            return None
        job, self._next = self._next, self._next + 1
        message: Message[Any] = Message(self._queue_name, "noop", ({"job": job},), {}, {}, str(job), 0)
        return MessageProxy(message)

    def ack(self, message: MessageProxy) -> None:
        """Makes room."""
        del message
        self._room.release()

    nack = ack


def noop(event: dict[str, int]) -> None:
    """The job."""
    probe.began(event["job"])


async def noop_async(event: dict[str, int]) -> None:
    """The same as a coroutine."""
    probe.began(event["job"])


def work() -> None:
    """Works until TERM."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    broker = FreeBroker()
    if probe.ASYNC:
        broker.add_middleware(AsyncIO())
    dramatiq.actor(broker=broker, actor_name="noop", max_age=None)(noop_async if probe.ASYNC else noop)
    worker = dramatiq.Worker(broker, worker_threads=probe.CONCURRENCY, worker_timeout=1000)
    worker.start()
    told.wait()
    worker.stop()


def nothing_to_send(*_: float) -> None:
    """Its jobs come from nowhere."""
    raise SystemExit("the ceiling sends nothing")


if __name__ == "__main__":
    probe.main(nothing_to_send, nothing_to_send, work)
