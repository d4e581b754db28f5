"""A command's way to the bus and to the record: opened for one command, with an end to waiting.

Processes of the factory wait for their servers as long as it takes; a person at a terminal wants to know.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from schema.errors import RecordUnavailableError
from schema.record.postgres import Postgres
from schema.settings.servers import Servers

if TYPE_CHECKING:
    from streams.transport.over_redis import RedisTransport

_NAME = "cli"
#: How long a server may stay silent before a command gives up.
PATIENCE_S = 5.0
_LEASE_S = 5.0


@contextlib.contextmanager
def bus(redis_url: str) -> Iterator[RedisTransport]:
    """The transport; calls on it take `wait_s=PATIENCE_S`."""
    # loaded late: a third of a command's start, for which a halt that the record takes first need not wait
    from streams.transport.over_redis import RedisTransport  # noqa: PLC0415

    transport = RedisTransport(redis_url, process=_NAME, lease_s=_LEASE_S)
    try:
        yield transport
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def record(database_url: str) -> AsyncIterator[Postgres]:
    """The record; raises RecordUnavailableError when Postgres does not answer in time, or has no tables yet."""
    postgres = Postgres(database_url, Servers(db_pool_min=1, db_pool_max=1), process=_NAME)
    try:
        try:
            await asyncio.wait_for(postgres.open(), PATIENCE_S)
        except TimeoutError:
            raise RecordUnavailableError(
                f"Postgres does not answer within {PATIENCE_S:g} s", hint="./ytempire doctor"
            ) from None
        yield postgres
    finally:
        await postgres.close()
