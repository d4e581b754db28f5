from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from actors.stage import StageActor
from guardians.stuck import StuckGuardian
from schema import flow
from schema.documents import Scene, Script
from schema.events import fact as facts
from schema.events.command import Command
from schema.record.claims import Claim, Claims
from schema.record.gate import GateRecord
from schema.record.overdue import Overdue
from schema.record.videos import Videos
from schema.settings.limits import Limits
from streams import names
from streams.broker import Delivered
from streams.process import Process
from streams.publish import publish
from streams.transport.port import Entry
from tests.integration.guardians.conftest import notices
from tests.integration.processes import LEASE_S, Processes, entries, until
from tests.integration.record.conftest import admitted, execute, value
from tests.integration.streams.workers import Server

SCRIPT = flow.STAGE["script"]
OUTPUT = Script(title="t", scenes=(Scene(narration="n"),))
LIMITS = Limits(max_attempts=2)
#: Ten minutes ago, which is longer than any limit of the script stage.
_OPENED = "UPDATE video_stages SET opened_at = now() - interval '10 min'"
_STARTED = "UPDATE video_stages SET started_at = now() - interval '10 min' WHERE status = 'running'"
_RESUMED = "UPDATE control_log SET applied_at = now() - interval '10 min'"


@pytest.fixture
async def process(processes: Processes) -> Process:
    return await processes("stuck", limits=LIMITS)


@pytest.fixture
async def video(process: Process) -> str:
    """A video whose first fact is in its stream, long on its way, with an attempt at its script."""
    video = await admitted(Videos(process.postgres))
    fact = facts.admission(video, at=datetime.now(UTC), traceparent="")
    await asyncio.to_thread(publish, process.transport, flow.ADMITTED_STREAM, facts.to_fields(fact))
    await execute(process.postgres, _OPENED)
    return video


def worker(process: Process, *, lease_s: float = 3600.0) -> Claims:
    return Claims(process.postgres, worker="host-script-1-ab12", lease_s=lease_s, max_crashes=5)


async def claimed(process: Process, video: str, *, lease_s: float = 3600.0) -> Claim:
    answer = await worker(process, lease_s=lease_s).claim(
        video, SCRIPT, entry=f"{flow.ADMITTED_STREAM}/1-0", delayed=False
    )
    assert isinstance(answer, Claim)
    return answer


async def late(process: Process) -> None:
    await execute(process.postgres, _STARTED)


async def attempts(process: Process) -> object:
    return await value(process.postgres, "SELECT array_agg(outcome ORDER BY attempt) FROM stage_attempts")


def said(server: Server) -> list[tuple[str, str]]:
    """Type and cause of each notice of the guardian."""
    return [(notice["type"], notice["cause"]) for notice in notices(server, "stuck.")]


async def test_the_stage_of_a_worker_that_fell_silent_is_called_again_within_a_few_leases_once(
    process: Process, video: str, redis_server: Server
) -> None:
    await claimed(process, video, lease_s=0.001)
    began_s = time.monotonic()
    guardian = StuckGuardian(process)

    async def called() -> bool:
        await guardian.tick()
        return said(redis_server) != []

    await until(called)
    assert time.monotonic() - began_s < 10 * LEASE_S
    await guardian.tick()
    assert said(redis_server) == [("stuck.called_again", "dead_lease")]
    [notice] = notices(redis_server, "stuck.")
    assert (notice["by"], notice["video"], notice["stage"]) == ("stuck", video, "script")
    assert "host-script-1-ab12 was not heard of" in notice["reason"]
    assert [fields[b"video"] for fields in entries(redis_server, flow.ADMITTED_STREAM)] == [video.encode()] * 2
    assert (await claimed(process, video, lease_s=LEASE_S)).attempt == 2


async def test_a_living_worker_inside_its_limit_is_left_alone(
    process: Process, video: str, redis_server: Server
) -> None:
    claim = await claimed(process, video)
    limit_s = flow.limit_s(SCRIPT, length_s=60, speed=False)
    await execute(process.postgres, "UPDATE video_stages SET started_at = now() - make_interval(secs => $1)", limit_s)
    await StuckGuardian(process).tick()
    assert await worker(process).renew(claim, 0.5)
    assert said(redis_server) == []


async def test_an_attempt_over_its_limit_is_superseded_as_a_failure_and_a_newer_one_begins(
    process: Process, video: str, redis_server: Server
) -> None:
    claim = await claimed(process, video)
    await late(process)
    guardian = StuckGuardian(process)
    await guardian.tick()
    await guardian.tick()
    assert not await worker(process).renew(claim, 0.5), "its worker learns of it by its next renewal"
    assert await worker(process).commit(claim, OUTPUT) is None
    assert await worker(process).fail(claim, "late") is None
    assert said(redis_server) == [("stuck.retried", "over_limit")]
    assert len(entries(redis_server, flow.ADMITTED_STREAM)) == 2
    heir = await claimed(process, video)
    assert (heir.attempt, heir.failures) == (2, 1)
    assert await attempts(process) == ["timed_out", "running"]
    error = await value(process.postgres, "SELECT error FROM stage_attempts WHERE attempt = 1")
    assert error == "timed_out: attempt 1 of script took longer than its limit of 60 s"


async def test_the_last_attempt_over_its_limit_fails_the_video_with_a_reason_and_a_dead_letter(
    process: Process, video: str, redis_server: Server
) -> None:
    guardian = StuckGuardian(process)
    for _ in range(LIMITS.max_attempts):
        await claimed(process, video)
        await late(process)
        await guardian.tick()
    assert said(redis_server) == [("stuck.retried", "over_limit"), ("stuck.failed", "over_limit")]
    reason = "timed_out: attempt 2 of script took longer than its limit of 60 s (after 2 attempts)"
    row = await Videos(process.postgres).find(video)
    assert row is not None
    assert (row.status, row.reason) == ("failed", reason)
    [ended] = entries(redis_server, flow.LAST.stream)
    assert (ended[b"type"], ended[b"reason"]) == (b"video.failed", reason.encode())
    [letter] = entries(redis_server, names.DEAD)
    assert (letter[b"error"], letter[b"from_stream"], letter[b"from_id"]) == (
        reason.encode(),
        flow.ADMITTED_STREAM.encode(),
        b"1-0",
    )
    assert await value(process.postgres, "SELECT error FROM refused_events WHERE kind = 'dead'") == reason


async def test_no_clock_runs_while_the_gate_is_shut_and_it_begins_again_when_it_opens(
    process: Process, video: str, redis_server: Server
) -> None:
    await claimed(process, video)
    await late(process)
    guardian = StuckGuardian(process)
    process.gate.set("paused")
    await guardian.tick()
    process.gate.set("open")
    await _resume(process)
    await guardian.tick()
    assert said(redis_server) == []
    await execute(process.postgres, _RESUMED)
    await guardian.tick()
    assert said(redis_server) == [("stuck.retried", "over_limit")]


async def test_an_attempt_that_ended_or_moved_on_meanwhile_is_left_alone(process: Process, video: str) -> None:
    claim = await claimed(process, video)
    await late(process)
    overdue = Overdue(process.postgres)
    [seen] = await overdue.running(steady_s=0)
    assert await overdue.time_out(seen, limit_s=3600, last=False, reason="r") is None, "it is not that late"
    await worker(process).release(claim, "halted")
    assert await overdue.time_out(seen, limit_s=60, last=False, reason="r") is None
    await claimed(process, video)
    await late(process)
    assert await overdue.time_out(seen, limit_s=60, last=True, reason="r") is None
    assert await attempts(process) == ["released", "running"]


async def test_a_stage_that_nobody_came_to_for_half_an_hour_is_called_again_unless_such_a_stage_is_worked_on(
    processes: Processes, video: str, redis_server: Server
) -> None:
    process = await processes("stuck", limits=Limits(last_resort_s=300))
    busy = await admitted(Videos(process.postgres), "busy")
    claim = await claimed(process, busy)
    guardian = StuckGuardian(process)
    await guardian.tick()
    assert said(redis_server) == [], "whoever works on the other one will come to it"
    await worker(process).commit(claim, OUTPUT)
    await _resume(process)
    await guardian.tick()
    assert said(redis_server) == [], "it stood still until now"
    await execute(process.postgres, _RESUMED)
    await guardian.tick()
    await guardian.tick()
    assert said(redis_server) == [("stuck.called_again", "last_resort")]
    assert len(entries(redis_server, flow.ADMITTED_STREAM)) == 2
    assert notices(redis_server, "stuck.")[0]["video"] == video


async def test_a_stage_that_keeps_killing_its_process_ends_among_the_dead_letters(
    processes: Processes, video: str
) -> None:
    process = await processes("script", limits=Limits(max_crashes=1))

    async def never(_task: object) -> Script:
        raise AssertionError("there is no further attempt")

    for _ in range(2):
        await claimed(process, video, lease_s=0.001)
        await execute(process.postgres, "UPDATE video_stages SET lease_until = now() - interval '1 h'")
    fields = facts.to_fields(facts.admission(video, at=datetime.now(UTC), traceparent=""))
    raw = {name.encode(): text.encode() for name, text in fields.items()}
    entry = Entry(flow.ADMITTED_STREAM, "1-0", raw, "script", flow.ADMITTED_STREAM, "1-0")
    ended, dead = await StageActor(process, SCRIPT, never)(Delivered(entry, process.transport.consumer))
    assert (ended.stream, dict(ended.fields)["type"]) == (flow.LAST.stream, "video.failed")  # type: ignore[index] # a fact is text
    assert dead.stream == names.DEAD
    assert await attempts(process) == ["crashed", "crashed"]


async def _resume(process: Process) -> None:

    await GateRecord(process.postgres).apply(Command(verb="resume", id="r"), entry_id=None)
