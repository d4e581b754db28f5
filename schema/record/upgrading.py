"""What a database says about starting this code on it: its migrations beside ours, and who is at work there.

It only looks, and applies nothing. Who is at work is told by the names that sessions bear: a process is seen while it
is connected, which it is as long as it runs; behind a pgbouncer a session bears the name of whoever had it last. A
release from before names bore the release is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import msgspec

from schema.errors import RecordUnavailableError
from schema.record.kinds import Kind, stumbling
from schema.record.migrations import Migration

_PATIENCE_S: Final = 5.0
_APPLICATION: Final = "ytempire upgrade"
_SESSIONS: Final = """
SELECT DISTINCT split_part(application_name, ' ', 2) AS name, split_part(application_name, ' ', 3) AS release,
       coalesce(host(client_addr), '') AS host
  FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE 'ytempire %' ORDER BY 1, 2, 3"""


class Applied(msgspec.Struct, frozen=True):
    """A migration that the database has."""

    number: int
    name: str
    sha256: str
    kind: Kind


class AtWork(msgspec.Struct, frozen=True):
    """A process, or several of a name on one host; `release` is empty where it is not told, `host` where it is here."""

    name: str
    release: str
    host: str


class Look(msgspec.Struct, frozen=True):
    """What was found."""

    applied: tuple[Applied, ...]
    sessions: tuple[AtWork, ...]


class Difference(msgspec.Struct, frozen=True):
    """The database beside the code: what it lacks, what it has beyond, and what it was made with otherwise."""

    pending: tuple[Migration, ...]
    newer: tuple[Applied, ...]
    changed: tuple[Applied, ...]


async def look(database_url: str) -> Look:
    """Ask the database; raises RecordUnavailableError where it does not answer."""
    where = urlsplit(database_url)
    try:
        connection = await asyncpg.connect(
            database_url, timeout=_PATIENCE_S, server_settings={"application_name": _APPLICATION}
        )
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise RecordUnavailableError(
            f"Postgres does not answer at {where.hostname}:{where.port or 5432}: {error}", hint="./ytempire doctor"
        ) from error
    try:
        rows: Sequence[asyncpg.Record] = ()
        if await connection.fetchval("SELECT to_regclass('public.schema_migrations') IS NOT NULL"):
            rows = await connection.fetch(
                """SELECT number, name, sha256, coalesce(to_jsonb(m) ->> 'kind', 'contract') AS kind
                     FROM schema_migrations AS m ORDER BY number"""
            )
        sessions = await connection.fetch(_SESSIONS)
        return Look(
            tuple(msgspec.convert(dict(row), Applied) for row in rows),
            tuple(msgspec.convert(dict(row), AtWork) for row in sessions),
        )
    finally:
        await connection.close()


def difference(ours: Sequence[Migration], applied: Sequence[Applied]) -> Difference:
    """What differs."""
    known, there = {one.number: one for one in ours}, {one.number: one for one in applied}
    return Difference(
        tuple(one for one in ours if one.number not in there),
        tuple(one for one in applied if one.number not in known),
        tuple(one for one in applied if one.number in known and known[one.number].sha256 != one.sha256),
    )


def told(migration: Migration) -> str:
    """A migration that is still to come, in words: its kind, and where older code may stumble."""
    if migration.kind == "expand":
        return f"{migration.number} {migration.name} (expand: it only adds)"
    where = stumbling(migration.sql)
    return f"{migration.number} {migration.name} (contract{': ' * bool(where)}{'; '.join(where)})"
