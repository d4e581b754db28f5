"""Plain numbered SQL files, each applied once, in order, under one lock, by whichever process is up first.

A file that was applied and has changed since is refused: what a database holds must be what the code says. A process
whose user may only read the list finds out that nothing is missing, and is told who can help where something is.

The first word of a file is its kind, and is kept with it. A database that a newer version has brought further is
refused, unless each of those migrations is of the kind that older code can live with.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import Final

import asyncpg
import msgspec
import structlog

from schema.errors import ConfigurationError
from schema.record.kinds import KINDS, Kind

#: Any number that no other program uses: the key of the advisory lock.
_LOCK = 0x59_54_45_4D
_FOLDER = files("schema.record") / "sql"
_LIST = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now())"""
#: From this one on files say their kind, and the list keeps it. Those before cannot be changed any more.
_KINDS_FROM: Final = 8
_EARLY_EXPANDING: Final = (5, 6)
_KIND = re.compile(rf"-- ({'|'.join(KINDS)}): \S")
_log = structlog.get_logger(__name__)


class Migration(msgspec.Struct, frozen=True):
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Checksum of the text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def kind(self) -> Kind:
        """What it means for code that is older than it.

        Raises ConfigurationError where the file does not say.
        """
        if self.number < _KINDS_FROM:
            return "expand" if self.number in _EARLY_EXPANDING else "contract"
        said = _KIND.match(self.sql)
        for kind in KINDS:
            if said is not None and said[1] == kind:
                return kind
        raise ConfigurationError(
            f"migration {self.number} ({self.name}) does not say what kind it is",
            hint="begin the file with `-- expand: why`, or with `-- contract: why` where older code has to be gone",
        )


def migrations() -> tuple[Migration, ...]:
    """All migrations there are, in order."""
    found = []
    for file in _FOLDER.iterdir():
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name, file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.number))


async def migrate(database_url: str) -> int:
    """Bring the database up to date; returns how many migrations were applied now.

    Raises ConfigurationError when a newer version has made it what this one cannot live with, or when it was made by
    other migrations than these.
    """
    connection = await asyncpg.connect(database_url, server_settings={"application_name": "ytempire migrate"})
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        return await _apply_missing(connection)
    finally:
        await connection.close()


async def _apply_missing(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    try:
        return await _apply(connection)
    except asyncpg.InsufficientPrivilegeError as error:
        user = await connection.fetchval("SELECT session_user")
        raise ConfigurationError(
            f"the database lacks migrations, which the user {user} may not apply: {error}",
            hint="start one process as the owner first, with its address in YTEMPIRE_DATABASE_DIRECT_URL",
        ) from error


async def _apply(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    # asked first: IF NOT EXISTS still wants the right to make it
    if not await connection.fetchval("SELECT to_regclass('public.schema_migrations') IS NOT NULL"):
        await connection.execute(_LIST)
    rows = await connection.fetch(
        "SELECT number, name, sha256, to_jsonb(m) ->> 'kind' AS kind FROM schema_migrations AS m"
    )
    known, applied = migrations(), {row["number"]: row for row in rows}
    _live_with([row for row in rows if row["number"] not in {migration.number for migration in known}])
    count = 0
    for migration in known:
        if (row := applied.get(migration.number)) is not None:
            if row["sha256"] != migration.sha256:
                message = f"migration {migration.number} ({migration.name}) is not the one this database was made with"
                raise ConfigurationError(message, hint="restore the file as it was; changes go into a new migration")
            continue
        async with connection.transaction():
            await connection.execute(migration.sql)
            await _note(connection, migration)
        count += 1
    return count


def _live_with(newer: list[asyncpg.Record]) -> None:
    """Raise ConfigurationError for the first migration of a newer version that this one cannot live with."""
    for row in sorted(newer, key=lambda row: int(row["number"])):
        if row["kind"] != "expand":
            message = f"the database was made by a newer version: it has migration {row['number']} ({row['name']})"
            raise ConfigurationError(
                message, hint="run the version that made it, or give this one another data directory"
            )
    if newer:
        _log.warning("record.newer", migrations=[row["name"] for row in newer], hint="upgrade this process, too")


async def _note(connection: asyncpg.Connection[asyncpg.Record], migration: Migration) -> None:
    values: tuple[object, ...] = (migration.number, migration.name, migration.sha256)
    if migration.number < _KINDS_FROM:
        await connection.execute("INSERT INTO schema_migrations (number, name, sha256) VALUES ($1, $2, $3)", *values)
    else:
        await connection.execute(
            "INSERT INTO schema_migrations (number, name, sha256, kind) VALUES ($1, $2, $3, $4)",
            *values,
            migration.kind,
        )
