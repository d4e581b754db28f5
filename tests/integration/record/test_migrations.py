from __future__ import annotations

import asyncio

import asyncpg
import pytest

from schema.errors import ConfigurationError
from schema.record import migrations
from schema.record.migrations import Migration, migrate


async def _ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_each_migration_is_applied_once(empty_database_url: str) -> None:
    count = len(migrations.migrations())
    assert count >= 1
    assert await migrate(empty_database_url) == count
    assert await migrate(empty_database_url) == 0
    assert await _ask(empty_database_url, "SELECT count(*) FROM schema_migrations") == count


async def test_processes_that_come_up_together_apply_each_migration_once(empty_database_url: str) -> None:
    counts = await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))
    assert sorted(counts) == [0, 0, 0, len(migrations.migrations())]


async def test_a_migration_that_changed_since_it_was_applied_is_refused_by_number(empty_database_url: str) -> None:
    await migrate(empty_database_url)
    await _ask(empty_database_url, "UPDATE schema_migrations SET sha256 = 'another' WHERE number = 1")
    with pytest.raises(ConfigurationError, match=r"migration 1 \(the_record\) is not the one") as got:
        await migrate(empty_database_url)
    assert "new migration" in got.value.hint


async def test_a_database_of_a_newer_version_is_refused_by_what_it_has(empty_database_url: str) -> None:
    await migrate(empty_database_url)
    await _ask(empty_database_url, "INSERT INTO schema_migrations VALUES (9999, 'from_tomorrow', '')")
    with pytest.raises(ConfigurationError, match=r"newer version: it has migration 9999 \(from_tomorrow\)"):
        await migrate(empty_database_url)


async def test_a_database_that_a_newer_version_has_only_added_to_is_lived_with(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = migrations.migrations(), Migration(9998, "moods", "-- expand: moods\nCREATE TABLE moods ()")
    monkeypatch.setattr(migrations, "migrations", lambda: (*here, there))
    await migrate(empty_database_url)
    monkeypatch.setattr(migrations, "migrations", lambda: here)
    assert await migrate(empty_database_url) == 0
    gone = Migration(9999, "no_moods", "-- contract: moods are gone\nDROP TABLE moods")
    monkeypatch.setattr(migrations, "migrations", lambda: (*here, there, gone))
    await migrate(empty_database_url)
    monkeypatch.setattr(migrations, "migrations", lambda: here)
    with pytest.raises(ConfigurationError, match=r"newer version: it has migration 9999 \(no_moods\)"):
        await migrate(empty_database_url)


async def test_a_database_from_before_there_were_kinds_is_brought_up_to_date(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = migrations.migrations()
    monkeypatch.setattr(migrations, "migrations", lambda: here[:5])
    await migrate(empty_database_url)
    monkeypatch.setattr(migrations, "migrations", lambda: here)
    assert await migrate(empty_database_url) == len(here) - 5
    assert await _ask(empty_database_url, "SELECT kind FROM schema_migrations WHERE number = 8") == "expand"


async def test_a_migration_that_fails_leaves_nothing_of_itself_and_those_before_it_stay(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_fails = "INSERT INTO schema_migrations VALUES (2, 'by itself', '')"
    good, bad = Migration(1, "good", "CREATE TABLE a ()"), Migration(2, "bad", f"CREATE TABLE b (); {note_fails}")
    monkeypatch.setattr(migrations, "migrations", lambda: (good, bad))
    with pytest.raises(asyncpg.UniqueViolationError):
        await migrate(empty_database_url)
    assert await _ask(empty_database_url, "SELECT array_agg(number) FROM schema_migrations") == [1]
    assert await _ask(empty_database_url, "SELECT to_regclass('b')") is None
    monkeypatch.setattr(migrations, "migrations", lambda: (good,))
    assert await migrate(empty_database_url) == 0
