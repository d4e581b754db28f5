"""Each verb through a running control actor, and what becomes of the work that it is about."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from actors import control
from actors.control import Control
from actors.stage import StageActor
from actors.task import Task
from schema import flow
from schema.documents import Scene, Script
from schema.events import fact as facts
from schema.events.command import Command
from schema.record.admission import Queue
from schema.record.claims import Claim, Claims
from schema.record.commands import Commands
from schema.record.videos import Videos
from streams import names
from streams.middleware import LoopThread
from streams.process import Process
from streams.publish import publish
from tests.integration.actors.conftest import OnTheBus
from tests.integration.processes import PATIENCE_S, Processes, command, entries, running, until
from tests.integration.record.conftest import accept, admitted, value
from tests.integration.streams.workers import Server

SCRIPT = flow.STAGE["script"]
OUTPUT = Script(title="t", scenes=(Scene(narration="n"),))


@pytest.fixture
async def factory(processes: Processes) -> AsyncIterator[Process]:
    """A control actor, and another process whose gate follows."""
    async with running(control.run(await processes("control"))):
        other = await processes("other")
        await other.keeper.start()
        yield other


def said(server: Server, stream: str) -> list[dict[str, str]]:
    """What is in a stream, as text."""
    return [{name.decode(): text.decode() for name, text in fields.items()} for fields in entries(server, stream)]


async def status(process: Process, video: str) -> str:
    return str(await value(process.postgres, "SELECT status FROM video_queue WHERE id = $1", video))


async def test_a_mode_reaches_another_process_and_goes_again(factory: Process) -> None:
    receipt = await command(factory, type="mode", mode="economy", reason="dear")
    assert receipt == {"status": "applied", "type": "mode", "gate": "open", "did": "economy for all"}
    await until(lambda: factory.mode().mode == "economy", within_s=1)
    assert (await command(factory, type="mode", mode="normal"))["did"] == "lifted 1"
    await until(lambda: factory.mode().mode == "normal", within_s=1)


async def test_a_mode_of_one_video_is_nobody_elses(factory: Process) -> None:
    video = await accept(Videos(factory.postgres), "k")
    await command(factory, type="mode", mode="economy", video=video, by="cost", cause="over_2.80")
    await until(lambda: factory.mode(video).mode == "economy")
    assert (factory.mode().mode, factory.mode("another").mode) == ("normal", "normal")


async def test_a_mode_given_to_the_record_reaches_everybody_without_the_stream(factory: Process) -> None:
    await Commands(factory.postgres).apply(Command("mode", mode="speed", id="direct"))
    await until(lambda: factory.mode().mode == "speed", within_s=3)


@pytest.mark.parametrize(
    ("said_so", "wrong"),
    [
        ({"type": "mode", "mode": "turbo"}, "mode is 'turbo'"),
        ({"type": "mode", "mode": "economy", "video": "nobody"}, "there is no video nobody"),
        ({"type": "throttle", "jobs": "0"}, "jobs is '0'"),
        ({"type": "throttle", "jobs": "2", "video": "v"}, "does not know the field 'video'"),
        ({"type": "cancel"}, "needs the field video"),
        ({"type": "cancel", "video": "nobody"}, "there is no video nobody"),
        ({"type": "retry", "video": "nobody", "from": "renders"}, "from is 'renders'"),
        ({"type": "release_gpu", "now": "yes"}, "does not know the field 'now'"),
    ],
)
async def test_what_cannot_be_done_is_rejected_with_a_hint_and_changes_nothing(
    factory: Process, redis_server: Server, said_so: dict[str, str], wrong: str
) -> None:
    receipt = await command(factory, **said_so)
    assert (receipt["status"], wrong in receipt["error"]) == ("rejected", True), receipt
    assert receipt["hint"]
    [rejected] = said(redis_server, names.REJECTED)
    assert said_so.items() <= rejected.items()
    assert await value(factory.postgres, "SELECT error FROM refused_events") == receipt["error"]
    tables = "SELECT (SELECT count(*) FROM standing_orders) + (SELECT count(*) FROM announcements)"
    assert await value(factory.postgres, tables) == 0


async def test_a_retry_of_a_running_video_is_rejected_and_leaves_it_running(
    factory: Process, redis_server: Server
) -> None:
    video = await admitted(Videos(factory.postgres))
    claims = Claims(factory.postgres, worker="w", lease_s=60, max_crashes=5)
    claim = await claims.claim(video, SCRIPT, entry="e", delayed=False)
    assert isinstance(claim, Claim)
    receipt = await command(factory, type="retry", video=video, fresh="yes")
    assert "is processing: only a video that has ended" in receipt["error"]
    assert "type cancel" in receipt["hint"]
    assert await claims.commit(claim, OUTPUT) is not None
    assert len(said(redis_server, names.REJECTED)) == 1


async def test_a_cancellation_is_told_once_though_it_is_typed_by_two_and_repeated(
    factory: Process, redis_server: Server
) -> None:
    video = await accept(Videos(factory.postgres), "k")
    twice = Command("cancel", "enough", video=video, id="twice")
    await Commands(factory.postgres).apply(twice)
    assert (await command(factory, type="cancel", video=video, reason="enough", id="twice"))["status"] == "applied"
    assert (await command(factory, type="cancel", video=video))["status"] == "rejected"
    await until(lambda: len(said(redis_server, flow.LAST.stream)) == 1)
    [told] = said(redis_server, flow.LAST.stream)
    assert (told["type"], told["video"], told["reason"]) == (
        "video.cancelled",
        video,
        "cancelled by operator: enough",
    )
    assert facts.from_fields({name.encode(): text.encode() for name, text in told.items()}).video == video


async def test_what_a_killed_control_actor_left_to_be_said_is_said_by_the_next(
    processes: Processes, redis_server: Server
) -> None:
    other = await processes("other")
    video = await accept(Videos(other.postgres), "k")
    await Commands(other.postgres).apply(Command("cancel", video=video, id="c"))
    await Commands(other.postgres).apply(Command("release_gpu", "full", by="gpu", id="r"))
    async with running(control.run(await processes("control"))):
        await until(lambda: len(said(redis_server, flow.LAST.stream)) == 1)
        await until(lambda: len(said(redis_server, names.NOTICES)) == 1)
    [notice] = said(redis_server, names.NOTICES)
    assert (notice["type"], notice["by"], notice["reason"]) == ("gpu.release", "gpu", "full")


async def test_a_control_actor_killed_before_it_answered_answers_all_the_same(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await processes("other")
    killed = asyncio.Event()

    def die(_self: Control, _answered: object) -> None:
        asyncio.run_coroutine_threadsafe(_set(killed), loop)
        raise RuntimeError("killed")

    loop = asyncio.get_running_loop()
    entry_id = await asyncio.to_thread(publish, other.transport, names.CONTROL, {"type": "halt"})
    with monkeypatch.context() as before_the_kill:
        before_the_kill.setattr(Control, "_answer", die)
        with pytest.raises(RuntimeError, match="killed"):
            await control.run(await processes("control"))
    assert (await other.gate_record.read()).cursor != entry_id
    async with running(control.run(await processes("control"))):
        key = names.control_receipt_key(entry_id)
        await until(lambda: other.transport.get_receipt(key) is not None)
    assert await value(other.postgres, "SELECT count(*) FROM control_log") == 1


async def _set(event: asyncio.Event) -> None:
    event.set()


def test_a_cancellation_stops_a_running_attempt_and_a_retry_makes_the_video_after_all(
    on_the_bus: OnTheBus, loop_thread: LoopThread, redis_server: Server
) -> None:
    started, stopped, cancelled = threading.Event(), threading.Event(), threading.Event()

    async def work(task: Task) -> Script:
        started.set()
        try:
            while not cancelled.is_set():
                task.checkpoint()
                await asyncio.sleep(0.01)
        finally:
            stopped.set()
        return OUTPUT

    process = on_the_bus(names.stage_subscription(SCRIPT), lambda made: StageActor(made, SCRIPT, work), name="script")
    videos, given = Videos(process.postgres), Commands(process.postgres)
    video = loop_thread.run_coroutine(admitted(videos))
    _admit(process, video)
    assert started.wait(PATIENCE_S)
    loop_thread.run_coroutine(given.apply(Command("cancel", video=video, id="c")))
    assert stopped.wait(PATIENCE_S), "its next checkpoint after its next renewal stops it"
    subscription = names.stage_subscription(SCRIPT)
    loop_thread.run_coroutine(until(lambda: not process.transport.held(subscription)))
    assert loop_thread.run_coroutine(status(process, video)) == "cancelled"
    assert not entries(redis_server, "stream:scripts")
    cancelled.set()
    loop_thread.run_coroutine(given.apply(Command("retry", video=video, id="r")))
    loop_thread.run_coroutine(_admitted_again(process))
    _admit(process, video)
    loop_thread.run_coroutine(until(lambda: len(entries(redis_server, "stream:scripts")) == 1))
    outcomes = "SELECT array_agg(outcome ORDER BY attempt) FROM stage_attempts"
    assert loop_thread.run_coroutine(value(process.postgres, outcomes)) == ["dropped", "done"]


def _admit(process: Process, video: str) -> None:
    fact = facts.to_fields(facts.admission(video, at=datetime.now(UTC), traceparent=""))
    publish(process.transport, flow.ADMITTED_STREAM, fact)


async def _admitted_again(process: Process) -> None:
    queue = Queue(process.postgres)
    await queue.promote(capacity=100, age_per_priority_s=600)
    await queue.admit(most=7, age_per_priority_s=600)
