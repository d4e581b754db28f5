"""A record of its own for each test, videos whose stages run, and what is asked of a ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TypeVar
from uuid import UUID, uuid4

import asyncpg
import pytest

from schema.money.bought import Bought, Buyer, Claimed, InputKey
from schema.money.calls import Ask, Policy, Refused, Reserved
from schema.money.ledger import Ledger, Sent
from schema.money.statement import Statement
from schema.record.gate import GateRecord
from schema.record.postgres import Connection, Postgres
from schema.settings.servers import Servers

T = TypeVar("T")
VIDEO_USD, DAY_USD = Decimal("3.00"), Decimal("150.00")
#: What blocks nobody is through by then.
AT_ONCE_S = 5.0

_RUN = """
WITH video AS (INSERT INTO video_queue (id, key, topic, brief, status)
               VALUES ($1, $1, 'a topic', '{}', 'processing') ON CONFLICT DO NOTHING)
INSERT INTO video_stages (video_id, stage, attempt, status) VALUES ($1, $2, $3, 'running')
    ON CONFLICT (video_id, stage) DO UPDATE SET attempt = $3, status = 'running'"""


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[Postgres]:
    """A pool, as a process has one."""
    pool = Postgres(database_url, Servers(), process="test")
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[Postgres]:
    """An open pool on a fresh database."""
    async with opened(database_url) as pool:
        yield pool


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Somebody at psql."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def ledger(postgres: Postgres) -> Ledger:
    return Ledger(postgres, video_budget_usd=VIDEO_USD, day_budget_usd=DAY_USD)


@pytest.fixture
def statement(postgres: Postgres) -> Statement:
    return Statement(postgres)


@pytest.fixture
def gate(postgres: Postgres) -> GateRecord:
    return GateRecord(postgres)


async def run_stage(postgres: Postgres, video: str = "v", stage: str = "script", attempt: int = 1) -> None:
    """Attempt number so and so runs now."""

    async def work(connection: Connection) -> None:
        await connection.execute(_RUN, video, stage, attempt)

    await postgres.run(work)


def ask(
    usd: str | Decimal = "1.00",
    *,
    video: str = "v",
    stage: str = "script",
    attempt: int = 1,
    policy: Policy = "blind",
    service: str = "openai",
    input_hash: str | None = None,
    reservation: UUID | None = None,
) -> Ask:
    """A call that costs at most so much."""
    return Ask(
        id=reservation or uuid4(),
        video=video,
        stage=stage,
        attempt=attempt,
        service=service,
        model="model",
        price="output_tokens 10",
        units={"output_tokens": 1000},
        amount_usd=Decimal(usd),
        policy=policy,
        input_hash=input_hash,
    )


async def reserved(ledger: Ledger, **kwargs: object) -> Ask:
    """A call whose money is set aside."""
    asked = ask(**kwargs)  # type: ignore[arg-type] # as `ask` takes them
    assert isinstance(await ledger.reserve(asked), Reserved)
    return asked


async def sent(ledger: Ledger, **kwargs: object) -> Ask:
    """A call that is under way."""
    asked = await reserved(ledger, **kwargs)
    assert isinstance(await ledger.sent(asked.id, asked.attempt), Sent)
    return asked


async def refusal(ledger: Ledger, asked: Ask) -> str:
    """Why this is not reserved."""
    answer = await ledger.reserve(asked)
    assert isinstance(answer, Refused)
    return answer.why


async def claimed(bought: Bought, key: InputKey, asked: Ask) -> Claimed:
    """The right to buy it, for this call."""
    claim = await bought.claim(key, Buyer(asked.video, asked.stage, asked.attempt), asked.id)
    assert isinstance(claim, Claimed)
    return claim


async def state(postgres: Postgres, reservation: UUID) -> str | None:
    """The state of a reservation, None where there is none."""
    row = await postgres.call("SELECT (SELECT state FROM money.reservations WHERE id = $1) AS state", reservation)
    found: str | None = row["state"]
    return found


async def value(postgres: Postgres, sql: str, *arguments: object) -> object:
    """Ask SQL by hand."""
    return next(iter((await postgres.call(sql, *arguments)).values()))


async def set_clock(owner: asyncpg.Connection[asyncpg.Record], at: str) -> None:
    """From now on it is `at`, for the ledger."""
    await owner.execute(
        f"CREATE OR REPLACE FUNCTION money.clock() RETURNS timestamptz LANGUAGE sql AS $$SELECT timestamptz '{at}'$$"
    )


async def at_once(what: Awaitable[T]) -> T:
    """Fails where it waits for somebody."""
    return await asyncio.wait_for(what, AT_ONCE_S)


async def until_waiting(owner: asyncpg.Connection[asyncpg.Record], *, waiters: int = 1) -> None:
    """Waits until so many sessions wait for a lock."""
    for _ in range(int(AT_ONCE_S * 100)):
        await owner.execute("SELECT pg_stat_clear_snapshot()")
        count = await owner.fetchval(
            """SELECT count(*) FROM pg_stat_activity
                WHERE wait_event_type = 'Lock' AND datname = current_database()"""
        )
        if count >= waiters:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits for a lock")
