"""The buses that the conformance suite runs over: one in memory, and real servers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
import redis

from deploy.launch import valkey
from deploy.launch.bus_users import ACTOR
from deploy.launch.program import Program
from streams.transport.in_memory import InMemoryTransport
from streams.transport.in_memory_server import InMemoryServer
from streams.transport.over_redis import RedisTransport
from streams.transport.port import Transport
from tests.conftest import ACTOR_PASSWORD

LEASE_S = 0.4
BLOCK_S = 0.3
#: Longer than anything here may take on a busy machine.
PATIENCE_S = 15.0


class Bus(Protocol):
    """Makes transports that meet on one server."""

    def transport(
        self, process: str = "test", *, lease_s: float = LEASE_S, on_wiped: Callable[[str], None] | None = None
    ) -> Transport:
        """One process's way to the bus."""
        ...

    def elapse(self, seconds: float) -> None:
        """So much time goes by on the server."""
        ...

    def wipe(self) -> None:
        """The server forgets everything."""
        ...

    def close(self) -> None:
        """Ends all transports."""
        ...


class MemoryBus:
    """In memory, on a clock that moves only when it is told."""

    def __init__(self) -> None:
        self._now_ms = 1_700_000_000_000
        self._server = InMemoryServer(lambda: self._now_ms)
        self._made: list[InMemoryTransport] = []

    def transport(
        self, process: str = "test", *, lease_s: float = LEASE_S, on_wiped: Callable[[str], None] | None = None
    ) -> Transport:
        """Likewise."""
        self._made.append(
            InMemoryTransport(self._server, process=process, lease_s=lease_s, block_s=0.02, on_wiped=on_wiped)
        )
        return self._made[-1]

    def elapse(self, seconds: float) -> None:
        """Moves the clock."""
        self._now_ms += round(1000 * seconds)

    def wipe(self) -> None:
        """Forgets."""
        self._server.wipe()

    def close(self) -> None:
        """Ends."""
        for transport in self._made:
            transport.close()


class ServerBus:
    """A real server; its leases are its own clock's, so time goes by as it does.

    The transports have the rights of the factory's processes, and no others.
    """

    def __init__(self, url: str) -> None:
        self._url = url.replace("//", f"//{ACTOR}:{ACTOR_PASSWORD}@")
        self._client = redis.Redis.from_url(url)
        self._made: list[RedisTransport] = []

    def transport(
        self, process: str = "test", *, lease_s: float = LEASE_S, on_wiped: Callable[[str], None] | None = None
    ) -> Transport:
        """Likewise."""
        self._made.append(
            RedisTransport(self._url, process=process, lease_s=lease_s, block_s=BLOCK_S, on_wiped=on_wiped)
        )
        return self._made[-1]

    def elapse(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)

    def wipe(self) -> None:
        """Forgets."""
        self._client.flushall()

    def close(self) -> None:
        """Ends."""
        for transport in self._made:
            transport.close()
        self._client.close()


def debians_redis(folder: Path, port: int) -> Program | None:
    """A redis-server from PATH, with the options of our Valkey; None where there is none."""
    if (found := shutil.which("redis-server")) is None:
        return None
    ours = valkey.valkey(folder, port, actor_password=ACTOR_PASSWORD)
    return msgspec.structs.replace(ours, name="redis-server", argv=(found, *ours.argv[1:]))
