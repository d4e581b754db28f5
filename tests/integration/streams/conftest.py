"""An empty server, a client to look at it with, and workers that end with the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from streams.transport.connection import Connection
from tests.integration.streams.cutting import CuttingProxy
from tests.integration.streams.workers import Later, Server, Signals, Workers


@pytest.fixture
def server(valkey_url: str) -> Iterator[Server]:
    """A plain client, as an operator or a foreign program has one."""
    connection = Connection(valkey_url, block_s=1.0)
    yield connection.commands
    connection.close()


@pytest.fixture
def workers(valkey_url: str) -> Iterator[Workers]:
    """Makes transports and workers."""
    made = Workers(valkey_url)
    yield made
    made.close()


@pytest.fixture
def proxy(valkey_url: str) -> Iterator[CuttingProxy]:
    """A way to the server that can be cut."""
    with CuttingProxy(valkey_url) as running:
        yield running


@pytest.fixture
def later(server: Server, proxy: CuttingProxy, workers: Workers) -> Iterator[Later]:
    """Calls something after so many seconds, and has done so when the test ends."""
    del server, proxy, workers  # they end after what uses them
    timers: list[threading.Timer] = []

    def start(delay_s: float, call: Callable[[], object]) -> None:
        timers.append(threading.Timer(delay_s, call))
        timers[-1].start()

    yield start
    for timer in timers:
        timer.join()


@pytest.fixture
def signals() -> Signals:
    """What an actor reports to its test."""
    return Signals()
