"""A full house loses Redis: 10,000 wait, 100 are queued, 7 in hand; two guardians rebuild it at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest
from msgspec.structs import replace

from actors import control
from guardians import integrity
from schema import flow
from schema.events.command import Command
from schema.record.admission import Queue
from schema.record.claims import Claim, Claims
from schema.record.commands import Commands
from schema.telemetry import metrics
from streams import names
from streams.mirror import Mirror
from streams.process import Process
from tests.integration.guardians.conftest import notices
from tests.integration.processes import BLOCK_S, Processes, command, entries, running, until
from tests.integration.record.conftest import execute
from tests.integration.streams.workers import Server

WITHIN_S = 10.0
_WAIT = """
INSERT INTO video_queue (id, key, topic, brief)
SELECT 'v' || n, 'v' || n, 't', '{"topic": "t"}' FROM generate_series(1, 10107) AS n"""
#: Four of the seven are further than their script.
_FURTHER = """
UPDATE video_stages SET status = 'done', output = '{}', ended_at = now() - interval '1 h', attempt = 1
 WHERE video_id IN (SELECT DISTINCT video_id FROM video_stages ORDER BY video_id LIMIT 4) AND stage = 'script'"""
SCRIPT = flow.STAGE["script"]


async def _full_house(process: Process) -> None:
    await execute(process.postgres, _WAIT)
    queue = Queue(process.postgres)
    await queue.promote(capacity=7, age_per_priority_s=600)
    await queue.admit(most=7, age_per_priority_s=600)
    await queue.promote(capacity=100, age_per_priority_s=600)
    await execute(process.postgres, _FURTHER)
    await execute(process.postgres, "UPDATE video_stages SET opened_at = now() - interval '1 h'")
    mirror = Mirror(process.transport, queue)
    mirror.write(*await mirror.snapshot())


def _said(server: Server) -> Counter[str]:
    """How often each video's fact is in its stream."""
    found = [*entries(server, flow.ADMITTED_STREAM), *entries(server, SCRIPT.stream)]
    return Counter(fields[b"video"].decode() for fields in found)


def _ticked(guardian: str) -> bool:
    """Whether the first look of this guardian is over."""
    looked = "ytempire_guardian_last_tick_timestamp_seconds"
    return bool(metrics.REGISTRY.get_sample_value(looked, {"guardian": guardian}))


def _wiped(server: Server) -> int:
    """How many guardians said that they rebuilt what was wiped."""
    return [notice["cause"] for notice in notices(server, "integrity.rebuilt")].count("wiped")


@pytest.mark.slow
async def test_all_that_is_owed_is_back_within_ten_seconds_and_twice_at_once_doubles_nothing(
    processes: Processes, redis_server: Server
) -> None:
    actor, worker = await processes("control"), await processes("script")
    await _full_house(actor)
    metrics.GUARDIAN_LAST_TICK.clear()
    patient = replace(processes.servers, guardian_tick_s=3600.0)  # so that it is the worker's notice that wakes them
    guardians = [await processes(name, servers=patient) for name in ("integrity", "another_integrity")]
    async with running(control.run(actor)):
        await Commands(actor.postgres).apply(Command("halt", reason="before the wipe", id="h"))
        await Commands(actor.postgres).apply(Command("mode", mode="economy", reason="before the wipe", id="m"))
        await until(lambda: len(entries(redis_server, names.CONTROL)) == 2, within_s=30)
        async with running(integrity.run(guardians[0])), running(integrity.run(guardians[1])):
            await until(lambda: all(_ticked(guardian.name) for guardian in guardians), within_s=30)
            await asyncio.to_thread(worker.transport.read, names.stage_subscription(SCRIPT), 1, BLOCK_S)
            redis_server.flushall()
            wiped_s = time.monotonic()
            await asyncio.to_thread(worker.transport.read, names.stage_subscription(SCRIPT), 1, BLOCK_S)
            await until(lambda: len(_said(redis_server)) == 7 and redis_server.zcard(names.QUEUE) == 100)
            took_s = time.monotonic() - wiped_s
            await until(lambda: _wiped(redis_server) == 2)
        print(f"rebuilt within {took_s:.2f} s")  # noqa: T201 - the figure that is asked for
        assert took_s <= WITHIN_S
        assert redis_server.scard(names.PROCESSING) == 7
        await _each_begins_once(processes, _said(redis_server))
        # what stands, stands; and the new stream is heard
        newcomer = await processes("newcomer")
        await newcomer.keeper.start()
        assert (newcomer.gate.state, newcomer.mode().mode) == ("halted", "economy")
        assert (await command(newcomer, type="resume"))["gate"] == "open"
        await until(lambda: newcomer.gate.state == "open")


async def _each_begins_once(processes: Processes, said: Counter[str]) -> None:
    """However often a fact is there, one claim for each video and stage."""
    answers = []
    for number in range(max(said.values())):
        claims = Claims((await processes()).postgres, worker=f"w{number}", lease_s=60, max_crashes=2)
        for video in said:
            for stage in ("script", "media", "audio"):
                entry = f"stream:x/{number}-0"
                answers.append((video, stage, await claims.claim(video, flow.STAGE[stage], entry=entry, delayed=False)))
    begun = Counter((video, stage) for video, stage, answer in answers if isinstance(answer, Claim))
    assert set(begun.values()) == {1}
    assert {stage for _, stage in begun} == {"script", "media", "audio"}
    assert len({video for video, _ in begun}) == 7
