"""Transports and dramatiq workers for the tests, and their end."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import dramatiq

from streams.broker import StreamsBroker
from streams.gate import Gate
from streams.middleware import LoopThread
from streams.transport.over_redis import RedisTransport
from streams.transport.port import Subscription

LEASE_S = 0.4
BLOCK_S = 0.3
#: Longer than anything here may take on a busy machine.
PATIENCE_S = 15.0

SCRIPT = Subscription(group="script", streams=("stream:admitted",), lane="lane:script")
RENDER = Subscription(group="render", streams=("stream:media", "stream:audio"), lane="lane:render")


#: A plain client; the replies of redis-py have no types worth having.
Server = Any
Later = Callable[[float, Callable[[], object]], None]


class Signals:
    """What an actor reports to its test, in order."""

    def __init__(self) -> None:
        self._reported: queue.Queue[Any] = queue.Queue()

    def __call__(self, what: object) -> None:
        """Reports; what is given as the actor itself reports its delivery."""
        self._reported.put(what)

    def next(self, timeout_s: float = PATIENCE_S) -> Any:  # noqa: ANN401 - tests report what they like
        """The next report."""
        return self._reported.get(timeout=timeout_s)

    def clear(self) -> list[Any]:
        """Forgets, and returns, what was reported and not asked for."""
        reported: list[Any] = []
        while not self._reported.empty():
            reported.append(self._reported.get_nowait())
        return reported

    def none_within(self, timeout_s: float) -> bool:
        """Whether nothing is reported for so long."""
        try:
            self._reported.get(timeout=timeout_s)
        except queue.Empty:
            return True
        return False


class Workers:
    """Makes transports, and workers on them, that end with the test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._transports: list[RedisTransport] = []
        self._workers: list[tuple[dramatiq.Worker, StreamsBroker]] = []

    def transport(
        self,
        process: str = "test",
        *,
        url: str | None = None,
        lease_s: float = LEASE_S,
        block_s: float = BLOCK_S,
        on_wiped: Callable[[str], None] | None = None,
    ) -> RedisTransport:
        """One process's way to the bus."""
        transport = RedisTransport(
            url or self.url, process=process, lease_s=lease_s, block_s=block_s, on_wiped=on_wiped
        )
        self._transports.append(transport)
        return transport

    def broker(
        self,
        work: Callable[..., Any],
        subscription: Subscription = SCRIPT,
        *,
        budget: int = 1,
        gate: Gate | None = None,
        transport: RedisTransport | None = None,
        lease_s: float = LEASE_S,
        block_s: float = BLOCK_S,
        max_deliveries: int = 10,
        loop_thread: LoopThread | None = None,
        in_touch: Callable[[], bool] = lambda: True,
        **options: Any,  # noqa: ANN401 - passed on to dramatiq
    ) -> StreamsBroker:
        """A broker with one actor."""
        broker = StreamsBroker(
            transport or self.transport(lease_s=lease_s, block_s=block_s),
            {subscription.group: subscription},
            budget=budget,
            gate=gate,
            lease_s=lease_s,
            block_s=block_s,
            max_deliveries=max_deliveries,
            loop_thread=loop_thread,
            in_touch=in_touch,
        )
        dramatiq.actor(
            actor_name=subscription.group,
            queue_name=subscription.group,
            broker=broker,
            **{"min_backoff": 20, "max_backoff": 40, **options},
        )(work)
        return broker

    def start(self, broker: StreamsBroker, threads: int = 1) -> dramatiq.Worker:
        """A running worker."""
        worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=100)
        worker.start()
        self._workers.append((worker, broker))
        return worker

    def work(self, work: Callable[..., Any], subscription: Subscription = SCRIPT, **options: Any) -> dramatiq.Worker:  # noqa: ANN401 - passed on
        """A running worker with one actor."""
        return self.start(self.broker(work, subscription, **options), threads=options.get("budget", 1))

    def stop(self, worker: dramatiq.Worker) -> None:
        """Ends a worker before its test ends."""
        for known, broker in self._workers:
            if known is worker:
                worker.stop(timeout=5_000)
                broker.close()
        self._workers = [pair for pair in self._workers if pair[0] is not worker]

    def close(self) -> None:
        """Ends everything."""
        for worker, _ in tuple(self._workers):
            self.stop(worker)
        for transport in self._transports:
            transport.close()
