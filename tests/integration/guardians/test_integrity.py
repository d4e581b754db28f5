from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from guardians import integrity
from schema import flow
from schema.record.owed import Debts, Owed
from schema.record.videos import Videos
from streams import names
from streams.process import Process
from streams.rebuild import rebuild
from streams.transport.port import Transport
from tests.integration.processes import BLOCK_S, PATIENCE_S, Processes, entries, running
from tests.integration.record.conftest import admitted
from tests.integration.streams.workers import Server

SUBSCRIPTION = names.stage_subscription(flow.STAGE["script"])
HOUR_S = 3600.0
Looks = asyncio.Queue[int]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """How many facts each look of the guardian published."""
    found: Looks = asyncio.Queue()

    async def counting(debts: Debts, transport: Transport) -> list[Owed]:
        published = await rebuild(debts, transport)
        found.put_nowait(len(published))
        return published

    monkeypatch.setattr(integrity, "rebuild", counting)
    return found


async def _next(looks: Looks) -> int:
    return await asyncio.wait_for(looks.get(), PATIENCE_S)


async def _guardian(processes: Processes, *, tick_s: float, grace_s: float) -> Process:
    return await processes("integrity", servers=replace(processes.servers, guardian_tick_s=tick_s, lease_s=grace_s))


async def test_a_wipe_that_a_worker_noticed_is_repaired_at_once_without_any_grace(
    processes: Processes, redis_server: Server, looks: Looks
) -> None:
    worker = await processes("script")
    await asyncio.to_thread(worker.transport.read, SUBSCRIPTION, 1, BLOCK_S)
    video = await admitted(Videos(worker.postgres))
    async with running(integrity.run(await _guardian(processes, tick_s=HOUR_S, grace_s=HOUR_S))):
        assert await _next(looks) == 0
        redis_server.flushall()
        await asyncio.to_thread(worker.transport.read, SUBSCRIPTION, 1, BLOCK_S)
        assert await _next(looks) == 1
    assert [fields[b"video"] for fields in entries(redis_server, flow.ADMITTED_STREAM)] == [video.encode()]


async def test_a_wipe_that_nobody_noticed_is_repaired_by_its_next_look(processes: Processes, looks: Looks) -> None:
    guardian = await _guardian(processes, tick_s=0.02, grace_s=0.2)
    await admitted(Videos(guardian.postgres))
    async with running(integrity.run(guardian)):
        assert await _next(looks) == 0, "what is as young as this may still be on its way"
        while not (published := await _next(looks)):
            pass
        assert published == 1
        assert await _next(looks) == 0
