"""The record in memory is bound to the real one: whatever is said to both, they answer alike and hold the same."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from schema.record.postgres import Postgres
from schema.settings.servers import Servers
from tests.simulation.record.postgres import Server, over
from tests.simulation.walking import STEPS, Side, Walk, columns_of, of_memory, of_postgres, shown, travel

#: How often time goes by, and the tables are compared.
_TRAVELS_EVERY, _LOOKS_EVERY = 9, 20


async def _walk(database_url: str, seed: int, steps: int) -> None:
    server = Server(lambda: datetime.now(UTC))
    postgres = Postgres(database_url, Servers(), process="test")
    await postgres.open()
    owner = await asyncpg.connect(database_url)
    try:
        server.tables.server_started_at = await owner.fetchval("SELECT pg_postmaster_start_time()")
        sides, walk = (Side(postgres), Side(over(server))), Walk(seed)
        told: list[str] = []
        for step in range(1, steps + 1):
            words, say = walk.draw()
            told.append(words)
            real, ours = [shown(await say(side)) for side in sides]
            assert ours == real, f"seed {seed}, step {step}: {words}; before: {told[-12:]}"
            if step % _TRAVELS_EVERY == 0:
                await travel(owner, server.tables, walk.chance.choice((5.0, 700.0, 7200.0)))
            if step % _LOOKS_EVERY == 0 or step == steps:
                columns = await columns_of(owner, server.tables)
                tables = await of_postgres(owner, columns, server.tables)
                for name, rows in of_memory(server.tables, columns).items():
                    assert rows == tables[name], f"seed {seed}, step {step}: {name}; before: {told[-25:]}"
    finally:
        await owner.close()
        await postgres.close()


@pytest.mark.parametrize("seed", range(2))
async def test_a_short_walk_is_the_same_on_both_records(database_url: str, seed: int) -> None:
    """Each day a little of it."""
    await _walk(database_url, seed, STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 1040, 10))
async def test_long_walks_are_the_same_on_both_records(postgres_port: int, migrated_template: str, start: int) -> None:
    """Ten of them, each on a record of its own."""
    from deploy.launch import postgres  # noqa: PLC0415 - only here

    for seed in range(start, start + 10):
        name = f"walk_{seed}"
        server = await asyncpg.connect(postgres.url(postgres_port, "postgres"))
        try:
            await server.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
            await _walk(postgres.url(postgres_port, name), seed, 4 * STEPS)
            await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        finally:
            await server.close()


_ = asyncio
