from __future__ import annotations

import asyncio
import uuid
from collections import Counter

import pytest

from schema import flow
from schema.documents import Scene, Script
from schema.record.claims import Claim, Claims
from schema.record.owed import Debts
from schema.record.videos import Videos
from streams import names
from streams.process import Process
from streams.rebuild import rebuild
from streams.transport.port import Entry, Settlement
from tests.integration.processes import BLOCK_S, PATIENCE_S, Processes, entries
from tests.integration.record.conftest import admitted
from tests.integration.streams.workers import Server

OUTPUT = Script(title="t", scenes=(Scene(narration="n"),))
SCRIPT, MEDIA, AUDIO, RENDER = (flow.STAGE[name] for name in ("script", "media", "audio", "render"))


@pytest.fixture
async def process(processes: Processes) -> Process:
    return await processes()


@pytest.fixture
def debts(process: Process) -> Debts:
    return Debts(process.postgres, grace_s=0.0)


async def video_after(process: Process, *stages: flow.Stage) -> str:
    """A video in hand of which these stages are done."""
    video = await admitted(Videos(process.postgres), uuid.uuid4().hex)
    for stage in stages:
        assert await claims(process).commit(await claim(process, video, stage), OUTPUT)
    return video


def claims(process: Process) -> Claims:
    return Claims(process.postgres, worker="a worker", lease_s=60, max_crashes=2)


async def claim(process: Process, video: str, stage: flow.Stage) -> Claim:
    answer = await claims(process).claim(video, stage, entry="stream:x/1-0", delayed=False)
    assert isinstance(answer, Claim)
    return answer


def said(server: Server) -> dict[str, Counter[str]]:
    """How often each stream says something of each video."""
    streams = [flow.ADMITTED_STREAM, *(stage.stream for stage in flow.STAGES)]
    return {
        stream: Counter(fields[b"video"].decode() for fields in entries(server, stream))
        for stream in streams
        if server.xlen(stream)
    }


def take(process: Process, stage: flow.Stage) -> Entry:
    """Reads the one entry that this stage is owed, as a worker does."""
    subscription = names.stage_subscription(stage)
    for _ in range(int(PATIENCE_S / BLOCK_S)):
        if found := process.transport.read(subscription, 10, BLOCK_S):
            [entry] = found
            return entry
    raise AssertionError(f"{stage.name} got nothing")


async def test_after_a_wipe_everything_owed_is_published_once(
    process: Process, debts: Debts, redis_server: Server
) -> None:
    fresh = await video_after(process)
    written = await video_after(process, SCRIPT)
    joined = await video_after(process, SCRIPT, MEDIA, AUDIO)
    rendered = await video_after(process, SCRIPT, MEDIA, AUDIO, RENDER)
    busy = await video_after(process)
    await claim(process, busy, SCRIPT)
    redis_server.flushall()
    await rebuild(debts, process.transport)
    assert said(redis_server) == {
        "stream:admitted": {fresh: 1},
        "stream:scripts": {written: 1},  # both media and audio read it there
        "stream:audio": {joined: 1},
        "stream:renders": {rendered: 1},
    }
    assert await rebuild(debts, process.transport) == []


async def test_what_was_finished_or_ended_is_owed_nothing(process: Process, debts: Debts, redis_server: Server) -> None:
    await video_after(process, *flow.STAGES)
    failed = await video_after(process)
    await claims(process).fail(await claim(process, failed, SCRIPT), "no")
    assert await rebuild(debts, process.transport) == []
    assert said(redis_server) == {}


async def test_what_is_pending_unread_or_in_the_lane_is_held_and_not_published_again(
    process: Process, debts: Debts
) -> None:
    await video_after(process)
    assert len(await rebuild(debts, process.transport)) == 1
    assert await rebuild(debts, process.transport) == [], "it is not delivered yet"
    entry = await asyncio.to_thread(take, process, SCRIPT)
    assert await rebuild(debts, process.transport) == [], "it is pending"
    process.transport.settle([Settlement(entry, retry_delay_s=0.0)])
    assert await rebuild(debts, process.transport) == [], "it waits for its time"
    process.transport.move_due()
    assert await rebuild(debts, process.transport) == [], "it is in the lane"
    again = await asyncio.to_thread(take, process, SCRIPT)
    process.transport.settle([Settlement(again)])
    assert len(await rebuild(debts, process.transport)) == 1, "it was acknowledged and nothing came of it"


async def test_two_at_once_do_no_harm_since_one_claim_decides(
    processes: Processes, process: Process, redis_server: Server
) -> None:
    video = await video_after(process)
    others = [await processes(), await processes()]
    await asyncio.gather(*(rebuild(Debts(other.postgres, grace_s=0.0), other.transport) for other in others))
    assert 1 <= said(redis_server)["stream:admitted"][video] <= 2
    answers = [
        await Claims(other.postgres, worker=other.name, lease_s=60, max_crashes=2).claim(
            video, SCRIPT, entry=f"stream:admitted/{number}-0", delayed=False
        )
        for number, other in enumerate(others)
    ]
    assert sum(isinstance(answer, Claim) for answer in answers) == 1


async def test_a_group_whose_stream_was_wiped_counts_as_holding_nothing(
    process: Process, debts: Debts, redis_server: Server
) -> None:
    await video_after(process)
    await rebuild(debts, process.transport)
    await asyncio.to_thread(take, process, SCRIPT)
    redis_server.delete(flow.ADMITTED_STREAM)
    assert len(await rebuild(debts, process.transport)) == 1
