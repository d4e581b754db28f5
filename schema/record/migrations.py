"""Plain numbered SQL files, each applied once, in order, under one lock, by whichever process is up first.

A file that was applied and has changed since is refused: what a database holds must be what the code says. A process
whose user may only read the list finds out that nothing is missing, and is told who can help where something is.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

import asyncpg
import msgspec

from schema.errors import ConfigurationError

#: Any number that no other program uses: the key of the advisory lock.
_LOCK = 0x59_54_45_4D
_FOLDER = files("schema.record") / "sql"
_LIST = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now())"""


class Migration(msgspec.Struct, frozen=True):
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Checksum of the text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


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

    Raises ConfigurationError when the database was made by a newer version, or by other migrations than these.
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
    rows = await connection.fetch("SELECT number, name, sha256 FROM schema_migrations")
    known, applied = migrations(), {row["number"]: row for row in rows}
    for number in sorted(set(applied) - {migration.number for migration in known}):
        message = f"the database was made by a newer version: it has migration {number} ({applied[number]['name']})"
        raise ConfigurationError(message, hint="run the version that made it, or give this one another data directory")
    count = 0
    for migration in known:
        if (row := applied.get(migration.number)) is not None:
            if row["sha256"] != migration.sha256:
                message = f"migration {migration.number} ({migration.name}) is not the one this database was made with"
                raise ConfigurationError(message, hint="restore the file as it was; changes go into a new migration")
            continue
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (number, name, sha256) VALUES ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.sha256,
            )
        count += 1
    return count
