"""Whole databases of a server, as backups and restores need them: made, counted, compared, put in another's place.

Speaks as the owner, over one connection for each question. A restored database takes its place by renaming, in one
transaction with the renaming of the old one, which stays; a name is there at every moment but that one.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import msgspec

from schema.errors import ConfigurationError, RecordUnavailableError
from schema.record.migrations import migrations
from schema.record.postgres import APP_ROLE

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_APPLICATION = "ytempire recovery"
_CONNECT_WITHIN_S = 10.0
#: A server has this one whoever made it: databases are made and renamed from there.
_MAINTENANCE = "postgres"
_TABLES = """
SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables
 WHERE schemaname IN ('public', 'money') ORDER BY 1"""
_ROLE = """
DO $$
BEGIN
    CREATE ROLE ytempire_app;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$"""


class Server(msgspec.Struct, frozen=True):
    """What a server is, and what its database holds of ours."""

    major: int
    #: The number of the last migration; 0 where there is none.
    schema: int


def named(database_url: str, name: str) -> str:
    """The address of another database of the same server."""
    return urlsplit(database_url)._replace(path=f"/{name}").geturl()


def name_of(database_url: str) -> str:
    """The database that an address means."""
    return urlsplit(database_url).path.strip("/") or "ytempire"


async def server(database_url: str) -> Server:
    """The server's version, and the database's; raises RecordUnavailableError where nobody answers."""
    async with _connected(database_url) as connection:
        major = int(await connection.fetchval("SHOW server_version_num")) // 10_000
        known = await connection.fetchval("SELECT to_regclass('public.schema_migrations') IS NOT NULL")
        last = await connection.fetchval("SELECT max(number) FROM schema_migrations") if known else 0
        return Server(major, last or 0)


async def counts(database_url: str, snapshot: str = "") -> dict[str, int]:
    """Rows of every table, all of one moment: that of `snapshot`, where one is named."""
    async with _connected(database_url) as connection, connection.transaction(isolation="repeatable_read"):
        if snapshot:
            await connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        return await _counts(connection)


@asynccontextmanager
async def snapshot(database_url: str) -> AsyncIterator[tuple[str, dict[str, int]]]:
    """A moment of the database that others may look at while the block lasts, and the rows of every table then."""
    async with _connected(database_url) as connection, connection.transaction(isolation="repeatable_read"):
        name = await connection.fetchval("SELECT pg_export_snapshot()")
        yield name, await _counts(connection)


async def contradictions(database_url: str) -> list[str]:
    """What a whole record never has: broken references and checks, totals that are not their rows."""
    async with _connected(database_url) as connection:
        found = [
            f"{row['counter']} {row['name']} does not equal its rows"
            for row in await connection.fetch("SELECT counter, name FROM money.contradictions LIMIT 10")
        ]
        unchecked = "SELECT conname FROM pg_constraint WHERE NOT convalidated"
        found += [f"constraint {row['conname']} is not validated" for row in await connection.fetch(unchecked)]
        return found


async def exists(database_url: str) -> bool:
    """Whether the server has this database."""
    async with _connected(named(database_url, _MAINTENANCE)) as connection:
        found = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
        return bool(await connection.fetchval(found, name_of(database_url)))


async def create(database_url: str) -> None:
    """An empty database, in the place of one of this name, and the role that processes take."""
    name = _checked(name_of(database_url))
    async with _connected(named(database_url, _MAINTENANCE)) as connection:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        await connection.execute(_ROLE)


async def drop(database_url: str) -> None:
    """Remove a database, whoever is connected; none there is fine."""
    name = _checked(name_of(database_url))
    async with _connected(named(database_url, _MAINTENANCE)) as connection:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def replace(database_url: str, *, by: str, aside: str) -> None:
    """Give the database `by` the name in the address; what had it is called `aside` from then on.

    Whoever is connected to either is disconnected, and finds the new one when it comes again.
    """
    name = _checked(name_of(database_url))
    async with _connected(named(database_url, _MAINTENANCE)) as connection:
        there = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name)
        moves = [(name, _checked(aside))] if there else []
        moves.append((_checked(by), name))
        for old, _ in moves:  # so that nobody comes back between being sent away and the renaming
            await connection.execute(f"ALTER DATABASE {old} ALLOW_CONNECTIONS false")
            await connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", old
            )
        try:
            async with connection.transaction():
                for old, new in moves:
                    await connection.execute(f"ALTER DATABASE {old} RENAME TO {new}")
        finally:
            for candidate in {name for move in moves for name in move}:
                if await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", candidate):
                    await connection.execute(f"ALTER DATABASE {candidate} ALLOW_CONNECTIONS true")


async def beside(database_url: str, prefix: str) -> dict[str, int]:
    """Databases of the server whose names begin so, with their sizes in bytes."""
    async with _connected(named(database_url, _MAINTENANCE)) as connection:
        rows = await connection.fetch(
            "SELECT datname, pg_database_size(datname) AS size FROM pg_database WHERE starts_with(datname, $1)", prefix
        )
        return {row["datname"]: row["size"] for row in rows}


async def hold(database_url: str, reason: str) -> None:
    """Place a halt that stands until an operator's resume; for a record that no process uses yet."""
    async with _connected(database_url) as connection:
        await connection.execute(
            """INSERT INTO holds (kind, cause, by, reason, command)
               VALUES ('halt', 'restored', 'restore', $1, $2) ON CONFLICT DO NOTHING""",
            reason,
            uuid.uuid4().hex,
        )


async def reopen(database_url: str, stages: list[tuple[str, str]]) -> None:
    """Open again the stages of these videos, whose files are gone: they are done anew."""
    async with _connected(database_url) as connection:
        await connection.executemany(
            """UPDATE video_stages SET status = 'open', output = NULL, ended_at = NULL, progress = 0, opened_at = now()
                WHERE video_id = $1 AND stage = $2 AND status = 'done'""",
            stages,
        )


async def at_work(database_url: str) -> tuple[bool, int]:
    """Whether a halt stands, and how many stages are in a living worker's hands.

    Raises RecordUnavailableError also for a record that is too broken to be asked.
    """
    async with _connected(database_url) as connection:
        halted = await connection.fetchval("SELECT EXISTS (SELECT FROM holds WHERE kind = 'halt')")
        running = "SELECT count(*) FROM video_stages WHERE status = 'running' AND lease_until > now()"
        return bool(halted), int(await connection.fetchval(running))


async def known_keys(database_url: str, keys: list[str]) -> set[str]:
    """Which of these requests are videos already."""
    async with _connected(database_url) as connection:
        rows = await connection.fetch("SELECT key FROM video_queue WHERE key = ANY($1)", keys)
        return {row["key"] for row in rows}


async def promoted(database_url: str) -> bool:
    """Whether a server that replays has come to its end, and takes writes."""
    async with _connected(database_url) as connection:
        return not await connection.fetchval("SELECT pg_is_in_recovery()")


async def switch_wal(database_url: str) -> None:
    """Let the server hand over what it has written so far to the archive."""
    async with _connected(database_url) as connection:
        await connection.execute("SELECT pg_switch_wal()")


def newest_schema() -> int:
    """The last migration that this version knows."""
    return max(migration.number for migration in migrations())


async def _counts(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, int]:
    tables = [row["name"] for row in await connection.fetch(_TABLES)]
    return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables}


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"the database is called {name!r}: only names of small letters, digits and _ can be put in its place",
            hint=f"name it so in DATABASE_URL; processes take the role {APP_ROLE}",
        )
    return name


@asynccontextmanager
async def _connected(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    try:
        connection = await asyncpg.connect(
            database_url,
            timeout=_CONNECT_WITHIN_S,
            server_settings={"application_name": _APPLICATION, "timezone": "UTC"},
        )
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError) as error:
        where = urlsplit(database_url)
        raise RecordUnavailableError(
            f"Postgres does not answer at {where.hostname}:{where.port or 5432}: {error}", hint="./ytempire doctor"
        ) from error
    except asyncpg.PostgresError as error:
        raise ConfigurationError(f"Postgres lets nobody into {name_of(database_url)}: {error}") from error
    try:
        yield connection
    except asyncpg.PostgresError as error:
        raise RecordUnavailableError(f"Postgres refuses: {error}") from error
    finally:
        await connection.close()
