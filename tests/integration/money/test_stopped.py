"""Who stops in the middle, and who holds a row by hand, keeps nobody's money and no halt waiting."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from decimal import Decimal

import asyncpg

from schema.events.command import Command
from schema.money.calls import Ended, Refused, Reserved
from schema.money.ledger import Ledger, Sent
from schema.record.gate import GateRecord
from schema.record.postgres import Postgres
from tests.integration.money.conftest import ask, at_once, reserved, run_stage, sent, until_waiting
from tests.integration.money.racing import racers

_STOPS = 12


async def _spends_and_halts(ledger: Ledger, gate: GateRecord, token: str) -> None:
    """All that must go on: on the same video, the same day, and through the gate."""
    asked = ask("0.01")
    assert await at_once(ledger.reserve(asked)) == Reserved(second_purchase=False)
    assert isinstance(await at_once(ledger.sent(asked.id, 1)), Sent)
    await at_once(gate.apply(Command(verb="halt", id=f"halt {token}"), entry_id=None))
    assert await at_once(ledger.reserve(ask("0.01"))) == Refused("halted")
    assert await at_once(ledger.settle(asked.id, Decimal("0.01"), used={})) == Ended("settled")
    await at_once(gate.apply(Command(verb="resume", id=f"resume {token}"), entry_id=None))


async def test_a_process_that_stops_while_its_reserve_is_under_way_blocks_nobody(
    database_url: str,
    postgres: Postgres,
    ledger: Ledger,
    gate: GateRecord,
    owner: asyncpg.Connection[asyncpg.Record],
) -> None:
    await run_stage(postgres)
    await reserved(ledger, usd="0.01")  # the row of this day is there
    async with racers(database_url, 1) as (racer,):
        async with owner.transaction():
            await owner.execute("SELECT FROM money.days FOR UPDATE")
            racer.tell("one v 0.25")
            await until_waiting(owner)  # its reserve is in the middle
            racer.signal(signal.SIGSTOP)
        await _spends_and_halts(ledger, gate, "1")
        made = await owner.fetchval("SELECT state FROM money.reservations WHERE amount = 0.25")
        assert made == "reserved"  # its server ended the call without it
        racer.signal(signal.SIGCONT)
        assert await racer.said() == "granted"


async def test_a_process_that_stops_at_any_moment_blocks_nobody(
    database_url: str, postgres: Postgres, ledger: Ledger, gate: GateRecord
) -> None:
    await run_stage(postgres)
    dice = random.Random(11)  # noqa: S311 - no secret
    async with racers(database_url, 1) as (racer,):
        racer.tell("forever v 0.25")
        assert await racer.said() == "begun"
        for number in range(_STOPS):
            until_s = time.monotonic() + dice.uniform(0, 0.01)
            while time.monotonic() < until_s:  # noqa: ASYNC110 - nothing to wait for: any moment will do
                await asyncio.sleep(0)
            racer.signal(signal.SIGSTOP)
            await _spends_and_halts(ledger, gate, str(number))
            racer.signal(signal.SIGCONT)


async def test_rows_of_the_queue_that_somebody_holds_block_neither_money_nor_a_halt(
    postgres: Postgres, ledger: Ledger, gate: GateRecord, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    await run_stage(postgres)
    async with owner.transaction():
        await owner.execute("SELECT FROM video_queue FOR UPDATE")
        await owner.execute("SELECT FROM video_stages FOR UPDATE")
        await _spends_and_halts(ledger, gate, "1")


async def test_a_halt_that_has_not_committed_yet_blocks_no_money(
    postgres: Postgres, ledger: Ledger, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    await run_stage(postgres)
    async with owner.transaction():
        await owner.execute("INSERT INTO holds (kind, by, command) VALUES ('halt', 'operator', 'c')")
        asked = ask("0.01")
        assert await at_once(ledger.reserve(asked)) == Reserved(second_purchase=False)
        assert isinstance(await at_once(ledger.sent(asked.id, 1)), Sent)
    assert await ledger.reserve(ask("0.01")) == Refused("halted")


async def test_a_halt_commits_after_the_calls_that_passed_the_gate_and_before_those_that_come(
    postgres: Postgres, ledger: Ledger, gate: GateRecord, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    await run_stage(postgres)
    first, second = await reserved(ledger, usd="0.1"), await reserved(ledger, usd="0.1")
    async with owner.transaction():
        assert await owner.fetchval("SELECT answer FROM money.mark_sent($1, 1)", first.id) == "sent"
        halting = asyncio.create_task(gate.apply(Command(verb="halt", id="h"), entry_id=None))
        await until_waiting(owner)
        late = asyncio.create_task(ledger.sent(second.id, 1))
        await until_waiting(owner, waiters=2)  # it waits behind the halt, however many share the gate
        assert not halting.done()
    await at_once(halting)
    assert await at_once(late) == Refused("halted")


async def test_once_a_halt_is_committed_nothing_becomes_sent(
    postgres: Postgres, ledger: Ledger, gate: GateRecord, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    videos = [f"v{at}" for at in range(8)]
    for video in videos:
        await run_stage(postgres, video)

    async def spend(video: str) -> None:
        while True:
            asked = ask("0.001", video=video)
            if isinstance(await ledger.reserve(asked), Refused):
                return
            await ledger.sent(asked.id, 1)

    for number in range(5):
        spending = [asyncio.create_task(spend(video)) for video in videos]
        await sent(ledger, usd="0.001", video="v0")
        await gate.apply(Command(verb="halt", id=f"h{number}"), entry_id=None)
        at_halt = await owner.fetchval("SELECT count(*) FROM money.reservations WHERE state = 'sent'")
        await asyncio.gather(*spending)
        assert await owner.fetchval("SELECT count(*) FROM money.reservations WHERE state = 'sent'") == at_halt
        await gate.apply(Command(verb="resume", id=f"r{number}"), entry_id=None)
