"""One pool of Postgres connections, and transactions that wait out an outage.

A transaction given to `run` is repeated until Postgres takes it: it must therefore be harmless to do twice. Nothing is
decided while Postgres is away; `steady_for_s` tells how long it has been back, since no lease may expire before its
owner had the time to renew it.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import asyncpg
import msgspec
import structlog

from schema.clock import Clock, SystemClock
from schema.errors import ConfigurationError
from schema.record.migrations import migrate
from schema.release import RELEASE
from schema.settings.servers import Servers

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
T = TypeVar("T")

APP_ROLE = "ytempire_app"
_COMMAND_TIMEOUT_S = 30.0
#: What each session asks for, beside its name. A client that is gone without a word, as behind a cut wire, is believed
#: in for eleven seconds, and not for the two hours that a system takes by itself.
_ASKED = {
    "role": APP_ROLE,
    "timezone": "UTC",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    # we ask for no more patience than we have; it also ends what was cut off between two messages of one statement
    "statement_timeout": f"{_COMMAND_TIMEOUT_S * 1000:.0f}",
}
#: A transaction of ours never waits for anything but the server.
_IDLE_AT_LEAST_S = 1.0
_WAIT_MIN_S, _WAIT_MAX_S = 0.05, 2.0
_log = structlog.get_logger(__name__)

#: Failures of the server or of the way to it: the same transaction may succeed a moment later.
_PASSING: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.QueryCanceledError,
    # we stood still in mid-transaction for so long that others were let have what it held
    asyncpg.IdleInTransactionSessionTimeoutError,
    # a restore puts another database in the place of this one, and lets nobody in meanwhile
    asyncpg.ObjectNotInPrerequisiteStateError,
    # what asyncpg says where the server's farewell came in just before our question
    asyncpg.InternalClientError,
)
#: asyncpg says by its own class, and by its words, that a connection was closed under a call.
_LOOKED_AT: tuple[type[Exception], ...] = (*_PASSING, asyncpg.InterfaceError)


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Documents travel as JSON text of msgspec, undecoded."""
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_as_text, decoder=_as_bytes)


async def _leave(_connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Nothing to reset: our transactions change nothing of their session, and asyncpg has ended an open one."""


def _as_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _as_bytes(value: str) -> bytes:
    return value.encode()


def storable(text: str) -> str:
    """`text` without what Postgres keeps in no text: NUL, and halves of characters (from a file's undecodable name)."""
    return text.replace("\x00", "\\0").encode(errors="replace").decode()


class Postgres:
    """A pool for one process; every class of the record is given it."""

    def __init__(
        self,
        database_url: str,
        servers: Servers,
        *,
        process: str,
        clock: Clock | None = None,
        on_away: Callable[[], None] | None = None,
    ) -> None:
        """Nothing is opened yet.

        `process` and the release become the application_name that operators see; `on_away` is told of each try that
        found no server.
        """
        self._url, self._servers, self._process = database_url, servers, process
        self._clock = clock or SystemClock()
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._back_at_s = -math.inf
        #: Since when nothing that was asked has found a server; None where the last that was has.
        self._away_since_s: float | None = None
        self._on_away = on_away
        self._closed = False

    async def open(self) -> None:
        """Bring the database up to date and open the pool; waits for the server as long as it takes."""
        await self._patiently(lambda: migrate(self._servers.database_direct_url or self._url))
        await self._patiently(self._open_once)

    async def _open_once(self) -> None:
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=self._servers.db_pool_min,
            max_size=self._servers.db_pool_max,
            command_timeout=_COMMAND_TIMEOUT_S,
            init=_prepare,
            # through a pgbouncer: `RESET ALL` would take the session's name and time zone from whoever has it next
            reset=_leave if self._servers.database_direct_url else None,
            server_settings=self._asked(),
        )
        # a pgbouncer may be told to ignore what a client asks for: then the rights of the owner would be ours
        if (role := await self._pool.fetchval("SELECT current_user")) != APP_ROLE:
            await self.close()
            raise ConfigurationError(
                f"this connection has the rights of {role!r}, expected {APP_ROLE!r}",
                hint="pgbouncer needs connect_query='SET ROLE ytempire_app', see deploy/config/pgbouncer.ini",
            )

    def _asked(self) -> dict[str, str]:
        """The settings of a session; whoever does nothing in mid-transaction for a lease loses what it has locked.

        It is stopped, or out of reach: without this its rows would be locked for as long as the server believes in it.
        """
        idle_s = max(self._servers.lease_s, _IDLE_AT_LEAST_S)
        return {
            "application_name": f"ytempire {self._process} {RELEASE}",
            "idle_in_transaction_session_timeout": f"{idle_s * 1000:.0f}",
            **_ASKED,
        }

    async def close(self) -> None:
        """Close the pool; a server that does not answer is left after a moment."""
        if self._pool is not None:
            self._closed = True
            try:
                await asyncio.wait_for(self._pool.close(), timeout=2)
            except _LOOKED_AT:
                self._pool.terminate()

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` in one transaction, again and again while Postgres is away; it must be harmless to repeat."""

        async def once() -> T:
            assert self._pool is not None, "open() comes first"  # noqa: S101 - a mistake of ours, not of a user
            async with self._pool.acquire() as connection, connection.transaction():
                return await work(connection)

        return await self._patiently(once)

    async def call(self, statement: str, *arguments: object) -> asyncpg.Record:
        """The one row of a single statement, which is a transaction of its own and is repeated as in `run`.

        Nothing is held between two messages of ours: what it locks ends with it, whatever becomes of this process.
        """

        async def once() -> asyncpg.Record:
            assert self._pool is not None, "open() comes first"  # noqa: S101 - a mistake of ours, not of a user
            async with self._pool.acquire() as connection:
                row = await connection.fetchrow(statement, *arguments)
            assert row is not None, "a call of a function gives a row"  # noqa: S101 - likewise
            return row

        return await self._patiently(once)

    def steady_for_s(self) -> float:
        """Seconds since this process last found Postgres away; infinite when it never did."""
        return self._clock.monotonic_s() - self._back_at_s

    def away_for_s(self) -> float:
        """For so many seconds each try has found no server; 0 where the last one did."""
        since_s = self._away_since_s
        return 0.0 if since_s is None else self._clock.monotonic_s() - since_s

    async def _patiently(self, once: Callable[[], Awaitable[T]]) -> T:
        wait_s, away = _WAIT_MIN_S, False
        while True:
            try:
                result = await once()
            except _LOOKED_AT as error:
                if isinstance(error, asyncpg.InterfaceError) and (self._closed or "closed" not in str(error)):
                    raise  # a call that asyncpg refuses is a mistake of ours, no outage
                if self._on_away is not None:
                    self._on_away()
                if self._away_since_s is None:
                    self._away_since_s = self._clock.monotonic_s()
                if not away and not isinstance(error, asyncpg.TransactionRollbackError):
                    _log.warning("postgres.away", error=f"{type(error).__name__}: {error}")
                    away = True
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
                wait_s = min(2 * wait_s, _WAIT_MAX_S)
                continue
            self._away_since_s = None
            if away:
                self._back_at_s = self._clock.monotonic_s()
                _log.info("postgres.back")
            return result
