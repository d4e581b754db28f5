"""A stage while the work is held, and in the modes and under the throttles that are in force."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from actors import task as tasks
from actors.task import Task
from schema import flow
from schema.documents import Script
from schema.events.command import Command
from schema.record.claims import Claims
from schema.record.commands import Commands
from schema.record.videos import Videos
from streams.interrupts import Halted, RetryLater
from streams.process import Process
from tests.integration.actors.by_hand import LIMITS, OUTPUT, SCRIPT, Stage, outcome, row, write
from tests.integration.processes import Processes
from tests.integration.record.conftest import admitted


@pytest.fixture
async def process(processes: Processes) -> Process:
    return await processes("script", limits=LIMITS)


@pytest.fixture
async def video(process: Process) -> str:
    return await admitted(Videos(process.postgres))


async def test_the_clock_of_work_that_cannot_stop_at_once_stands_still_during_a_halt(
    process: Process, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "limit_s", lambda *_, **__: 0.4)
    monkeypatch.setattr(tasks, "_LOOK_S", 0.01)

    async def call(_task: Task) -> Script:
        process.gate.set("halted")  # while a paid call is out
        await asyncio.sleep(0.8)  # longer than the limit itself is what is waited out
        process.gate.set("open")
        return OUTPUT

    actor = Stage(process, call)
    assert len(await actor(video)) == 1
    assert await actor.outcomes() == ["done"]


async def test_a_limit_that_ends_during_a_halt_is_no_failure(
    process: Process, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "limit_s", lambda *_, **__: 0.05)
    monkeypatch.setattr(tasks, "_LOOK_S", 60.0)  # the halt comes between two looks

    async def call(_task: Task) -> Script:
        process.gate.set("halted")
        await asyncio.Event().wait()
        raise AssertionError

    actor = Stage(process, call)
    assert isinstance(await outcome(actor(video)), Halted)
    assert await actor.outcomes() == ["released"]
    assert await row(process, video) == ("processing", "", 0)


async def test_the_clock_of_running_work_goes_on_during_a_pause(
    process: Process, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "limit_s", lambda *_, **__: 0.05)

    async def call(_task: Task) -> Script:
        process.gate.set("paused")
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(RetryLater, match="longer than its limit"):
        await Stage(process, call)(video)


async def test_a_stage_has_its_shorter_limit_in_speed_mode(
    process: Process, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def limit_s(_stage: flow.Stage, *, length_s: float, speed: bool) -> float:
        del length_s
        asked.append(speed)
        return 5.0

    monkeypatch.setattr(flow, "limit_s", limit_s)
    await order(process, Command("mode", mode="speed", id="speed"))
    await Stage(process, write)(video)
    assert asked == [True]


async def test_a_mode_applies_from_the_next_call_on_and_only_to_its_video(process: Process, video: str) -> None:
    seen: list[str] = []

    async def work(task: Task) -> Script:
        seen.append(task.mode().mode)
        await order(process, Command("mode", mode="economy", video=video, id="economy"))
        seen.append(task.mode().mode)
        return OUTPUT

    await Stage(process, work)(video)
    assert seen == ["normal", "economy"]
    assert process.mode().mode == "normal"


async def test_an_entry_that_a_throttle_keeps_back_comes_again_and_counts_no_failure(
    process: Process, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(flow.STAGE, "script", msgspec.structs.replace(SCRIPT, throttled=True))
    await order(process, Command("throttle", jobs="1", id="throttle"))
    other = await admitted(Videos(process.postgres), "other")
    throttled = Stage(process, write, flow.STAGE["script"])
    running = Claims(process.postgres, worker=process.transport.consumer, lease_s=60, max_crashes=5)
    await running.claim(other, SCRIPT, entry="stream:admitted/9-0", delayed=False)
    with pytest.raises(RetryLater, match="as many as the throttle allows"):
        await throttled(video)
    assert await row(process, video) == ("processing", "", 0)
    await order(process, Command("throttle", jobs="all", id="no throttle"))
    assert len(await throttled(video, retries=1)) == 1


async def order(process: Process, command: Command) -> None:
    """Gives a command to the record, and lets the process look there as it does each second."""
    await Commands(process.postgres).apply(command)
    process.keeper._obey(await process.gate_record.read())
