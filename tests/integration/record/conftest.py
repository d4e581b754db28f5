"""A record of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from schema.documents import Brief
from schema.record.admission import Queue
from schema.record.claims import Claims
from schema.record.postgres import Connection, Postgres
from schema.record.videos import Videos
from schema.settings.servers import Servers

LEASE_S = 0.5


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[Postgres]:
    """An open pool on a fresh database."""
    pool = Postgres(database_url, Servers(), process="test")
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture
def videos(postgres: Postgres) -> Videos:
    return Videos(postgres)


@pytest.fixture
def queue(postgres: Postgres) -> Queue:
    return Queue(postgres)


def claims(
    postgres: Postgres,
    worker: str = "worker-a",
    *,
    lease_s: float = LEASE_S,
    max_crashes: int = 2,
    dead: tuple[str, ...] = (),
) -> Claims:
    """The claims of one worker, which knows that those of `dead` are."""
    return Claims(
        postgres, worker=worker, lease_s=lease_s, max_crashes=max_crashes, surely_dead=lambda name: name in dead
    )


async def accept(videos: Videos, key: str, priority: int = 5) -> str:
    """Accept a request; returns the video's id."""
    accepted = await videos.accept(key=key, priority=priority, brief=Brief(topic=f"topic {key}"), traceparent="")
    return accepted.video


async def admitted(videos: Videos, key: str = "k") -> str:
    """Accept, promote and admit one video; returns its id."""
    video, queue = await accept(videos, key), Queue(videos._postgres)
    await queue.promote(capacity=100, age_per_priority_s=600)
    await queue.admit(most=100, age_per_priority_s=600)
    return video


async def execute(postgres: Postgres, sql: str, *arguments: object) -> None:
    """Type SQL by hand."""

    async def work(connection: Connection) -> None:
        await connection.execute(sql, *arguments)

    await postgres.run(work)


async def value(postgres: Postgres, sql: str, *arguments: object) -> object:
    """Ask SQL by hand."""

    async def work(connection: Connection) -> object:
        return await connection.fetchval(sql, *arguments)

    return await postgres.run(work)
