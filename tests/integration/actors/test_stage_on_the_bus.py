from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from actors.stage import StageActor
from actors.task import Task
from schema import flow
from schema.documents import Scene, Script
from schema.errors import RetryableError
from schema.events import fact as facts
from schema.record.videos import Videos
from schema.settings.limits import Limits
from streams import names
from streams.middleware import LoopThread
from streams.process import Process
from streams.publish import publish
from streams.transport.port import Entry
from tests.integration.actors.conftest import OnTheBus
from tests.integration.processes import PATIENCE_S
from tests.integration.record.conftest import admitted, value

SCRIPT = flow.STAGE["script"]
OUTPUT = Script(title="t", scenes=(Scene(narration="n"),))
LIMITS = Limits(max_attempts=2, retry_min_s=0.05, retry_max_s=0.1)
OnStage = Callable[[Callable[[Task], Script]], Process]


@pytest.fixture
def on_stage(on_the_bus: OnTheBus) -> OnStage:
    """A running script stage that does this work."""

    def start(work: Callable[[Task], Script]) -> Process:
        async def working(task: Task) -> Script:
            return work(task)

        return on_the_bus(
            names.stage_subscription(SCRIPT),
            lambda process: StageActor(process, SCRIPT, working),
            name="script",
            limits=LIMITS,
        )

    return start


def submit(process: Process, loop_thread: LoopThread, *, times: int = 1) -> str:
    """Admits a video and publishes its admission; returns its id."""
    video = loop_thread.run_coroutine(admitted(Videos(process.postgres)))
    fact = facts.to_fields(facts.admission(video, at=datetime.now(UTC), traceparent=""))
    for _ in range(times):
        publish(process.transport, flow.ADMITTED_STREAM, fact)
    return video


def first(process: Process, stream: str) -> Entry:
    """The first entry of a stream, waited for."""
    [entry, *_] = process.transport.observe({stream: "0-0"}, PATIENCE_S) or _wait(process, stream)
    return entry


def _wait(process: Process, stream: str) -> list[Entry]:
    for _ in range(int(PATIENCE_S / 0.1)):  # a read here ends after the process's short block
        if found := process.transport.observe({stream: "0-0"}, 0.1):
            return found
    raise AssertionError(f"nothing came on {stream}")


def outcomes(process: Process, loop_thread: LoopThread) -> object:
    sql = "SELECT array_agg(outcome ORDER BY attempt) FROM stage_attempts WHERE stage = 'script'"
    return loop_thread.run_coroutine(value(process.postgres, sql))


def test_a_passing_failure_comes_back_by_the_lane_and_its_fact_is_published_once(
    on_stage: OnStage, loop_thread: LoopThread
) -> None:
    def fail_once(task: Task) -> Script:
        if task.claim.attempt == 1:
            raise RetryableError("no answer")
        return OUTPUT

    process = on_stage(fail_once)
    video = submit(process, loop_thread)
    fact = facts.from_fields(first(process, "stream:scripts").fields)
    assert (fact.video, fact.attempt) == (video, 2)
    assert outcomes(process, loop_thread) == ["retried", "done"]
    assert len(process.transport.observe({flow.ADMITTED_STREAM: "0-0"}, 0.1)) == 1


def test_exhausted_attempts_end_in_a_dead_letter_and_a_failed_video_on_the_last_stream(
    on_stage: OnStage, loop_thread: LoopThread
) -> None:
    def fail(_task: Task) -> Script:
        raise RetryableError("no answer")

    process = on_stage(fail)
    video = submit(process, loop_thread)
    ended = facts.from_fields(first(process, "stream:videos").fields)
    assert (ended.type, ended.video) == ("video.failed", video)
    dead = first(process, names.DEAD).fields
    assert (dead[b"from_stream"], dead[b"video"]) == (b"stream:admitted", video.encode())
    assert outcomes(process, loop_thread) == ["retried", "failed"]


def test_two_entries_that_say_the_same_make_one_commit(on_stage: OnStage, loop_thread: LoopThread) -> None:
    process = on_stage(lambda _task: OUTPUT)
    submit(process, loop_thread, times=2)
    first(process, "stream:scripts")
    for _ in range(int(PATIENCE_S / 0.1)):
        if not process.transport.held(names.stage_subscription(SCRIPT)):
            break
    assert outcomes(process, loop_thread) == ["done"]


def test_a_halt_in_mid_stage_keeps_the_entry_and_the_work_goes_on_after_it(
    on_stage: OnStage, loop_thread: LoopThread
) -> None:
    released = threading.Event()

    def wait_for_halt(task: Task) -> Script:
        if task.claim.attempt > 1:
            return OUTPUT
        process.gate.set("halted")
        released.set()
        task.checkpoint()
        raise AssertionError("a halt stops at a checkpoint")

    process = on_stage(wait_for_halt)
    submit(process, loop_thread)
    assert released.wait(PATIENCE_S)
    assert len(process.transport.held(names.stage_subscription(SCRIPT))) == 1
    assert not process.transport.observe({"stream:scripts": "0-0"}, 0.1)
    process.gate.set("open")
    assert facts.from_fields(first(process, "stream:scripts").fields).attempt == 2
    assert outcomes(process, loop_thread) == ["released", "done"]
