"""Deliveries made by hand, and actors on a real bus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

import pytest

from schema.settings.limits import Limits
from streams.broker import Delivered
from streams.middleware import LoopThread
from streams.process import Process
from streams.transport.port import Publication, Subscription
from tests.integration.processes import BLOCK_S, LEASE_S, Processes
from tests.integration.streams.workers import Workers

Handler = Callable[[Delivered], Awaitable[tuple[Publication, ...]]]


class OnTheBus(Protocol):
    """Starts an actor as its process does: dramatiq's worker over our broker."""

    def __call__(
        self,
        subscription: Subscription,
        prepare: Callable[[Process], Handler],
        *,
        name: str = "test",
        limits: Limits | None = None,
    ) -> Process:
        """The process it runs in."""


@pytest.fixture
def loop_thread() -> Iterator[LoopThread]:
    """The loop that carries async actors and their pool."""
    thread = LoopThread()
    thread.start()
    yield thread
    thread.stop()  # type: ignore[no-untyped-call] # dramatiq types its threads in part


@pytest.fixture
def on_the_bus(
    loop_thread: LoopThread, valkey_url: str, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OnTheBus]:
    """Starts actors; they end with the test."""
    workers = Workers(valkey_url)
    processes = Processes(valkey_url, database_url, tmp_path_factory.mktemp("data"))

    def start(
        subscription: Subscription,
        prepare: Callable[[Process], Handler],
        *,
        name: str = "test",
        limits: Limits | None = None,
    ) -> Process:
        process = loop_thread.run_coroutine(processes(name, limits=limits))
        handler = prepare(process)

        async def deliver(delivered: Delivered) -> tuple[Publication, ...]:
            return await handler(delivered)

        workers.work(
            deliver,
            subscription,
            transport=process.transport,
            gate=process.gate,
            loop_thread=loop_thread,
            lease_s=LEASE_S,
            block_s=BLOCK_S,
            time_limit=float("inf"),
        )
        return process

    yield start
    for process in processes.made:
        process.gate.stop()
    workers.close()
    loop_thread.run_coroutine(processes.close())
