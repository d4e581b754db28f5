"""Processes of the factory inside a test: the real parts on real servers, with short leases, and their end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from schema.settings.environment import Settings
from schema.settings.limits import Limits
from schema.settings.providers import Providers
from schema.settings.servers import Servers
from streams import names, receipts
from streams.process import Process
from streams.publish import publish
from tests.integration.streams.workers import PATIENCE_S, Server

__all__ = ["PATIENCE_S"]

LEASE_S, BLOCK_S, TICK_S = 0.6, 0.1, 0.1
_LOOK_S = 0.01


class Processes:
    """Makes processes that share one bus and one record."""

    def __init__(self, redis_url: str, database_url: str, folder: Path) -> None:
        self.servers = Servers(
            redis_url=redis_url,
            database_url=database_url,
            lease_s=LEASE_S,
            block_s=BLOCK_S,
            guardian_tick_s=TICK_S,
            data_dir=str(folder),
        )
        self.made: list[Process] = []

    async def __call__(
        self,
        name: str = "test",
        *,
        limits: Limits | None = None,
        servers: Servers | None = None,
        providers: Providers | None = None,
    ) -> Process:
        """A process whose record is open; its gate stays as it is set until its keeper is started."""
        settings = Settings(
            servers=servers or self.servers, limits=limits or Limits(), providers=providers or Providers()
        )
        process = Process(name, settings)
        self.made.append(process)
        await process.postgres.open()
        return process

    async def close(self) -> None:
        """Ends all of them."""
        for process in self.made:
            await process.close()
            await asyncio.to_thread(process.transport.close)


async def until(what: Callable[[], bool | Awaitable[bool]], *, within_s: float = PATIENCE_S) -> None:
    """Looks again and again until `what` is so."""
    end_s = time.monotonic() + within_s
    while True:
        found = what()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < end_s, f"not within {within_s} s"
        await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def running(work: Awaitable[None]) -> AsyncIterator[None]:
    """Something that runs until the block ends; what it raises meanwhile is raised there."""
    task = asyncio.ensure_future(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})


async def command(process: Process, **fields: str) -> dict[str, str]:
    """Types a line to stream:control, and waits for its receipt."""
    entry_id = await asyncio.to_thread(publish, process.transport, names.CONTROL, fields)
    found = await asyncio.to_thread(receipts.wait, process.transport, names.control_receipt_key(entry_id), PATIENCE_S)
    assert found is not None, "no receipt"
    return found


def entries(server: Server, stream: str) -> list[dict[bytes, bytes]]:
    """The fields of all that is in a stream."""
    return [fields for _, fields in server.xrange(stream)]
