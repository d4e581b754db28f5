from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator

import pytest

from actors.stage import StageActor
from actors.task import Task
from schema import flow
from schema.documents import Script
from schema.errors import NotNowError, PermanentError, RetryableError, StoreUnavailableError
from schema.record.claims import Claims
from schema.record.videos import Videos
from streams import names
from streams.broker import Delivered
from streams.interrupts import Halted, Interrupted, RetryLater, ReturnTo, ShuttingDown, Superseded
from streams.process import Process
from streams.transport.port import Entry, Publication
from tests.integration.actors.by_hand import LIMITS, OUTPUT, SCRIPT, Stage, Work, outcome, row, write
from tests.integration.processes import LEASE_S, PATIENCE_S, Processes
from tests.integration.record.conftest import admitted, value


@pytest.fixture
async def process(processes: Processes) -> AsyncIterator[Process]:
    made = await processes("script", limits=LIMITS)
    yield made
    scratch = made._scratch
    assert scratch is None or not list(scratch.iterdir()), "an attempt left its scratch folder"


@pytest.fixture
async def video(process: Process) -> str:
    return await admitted(Videos(process.postgres))


def failing(error: BaseException) -> Work:
    async def work(_task: Task) -> Script:
        raise error

    return work


def said(publication: Publication) -> dict[str, str]:
    """A publication's stream and fields as text."""
    fields = {
        name.decode() if isinstance(name, bytes) else name: text.decode() if isinstance(text, bytes) else text
        for name, text in publication.fields.items()
    }
    return {"stream": publication.stream, **fields}


async def test_a_result_is_committed_and_its_fact_is_what_the_acknowledgement_publishes(
    process: Process, video: str
) -> None:
    stage = Stage(process, write)
    [fact] = await stage(video)
    assert {"stream": "stream:scripts", "type": "script.written", "video": video}.items() <= said(fact).items()
    assert await stage.outcomes() == ["done"]


async def test_the_same_entry_delivered_again_makes_one_commit_and_says_the_same_fact(
    process: Process, video: str
) -> None:
    stage = Stage(process, write)
    [first] = await stage(video)
    [again] = await stage(video)
    assert said(again)["id"] == said(first)["id"]
    assert await stage.outcomes() == ["done"]


async def test_an_entry_under_a_live_lease_goes_back_to_its_holder_and_another_one_is_forgotten(
    process: Process, processes: Processes, video: str
) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_task: Task) -> Script:
        started.set()
        await go_on.wait()
        return OUTPUT

    working = asyncio.create_task(Stage(process, wait)(video))
    await started.wait()
    other = Stage(await processes("script", limits=LIMITS), write)
    with pytest.raises(ReturnTo) as got:
        await other(video)
    assert got.value.consumer == process.transport.consumer
    assert 0 <= got.value.idle_s < LEASE_S
    assert await other(video, "2-0") == ()
    go_on.set()
    assert len(await working) == 1
    assert await other.outcomes() == ["done"]


async def test_a_stage_that_starts_again_does_not_wait_for_the_lease_of_its_dead_predecessor(
    process: Process, processes: Processes, video: str
) -> None:
    dead = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from streams.transport.consumers import new_name; print(new_name('script'))"),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.getcwd()},  # noqa: PTH109 - a name for a variable, not a path to work with
    )
    name, _ = await dead.communicate()
    before = Claims(process.postgres, worker=name.decode().strip(), lease_s=3600.0, max_crashes=5)
    await before.claim(video, SCRIPT, entry="stream:admitted/1-0", delayed=False)
    again = Stage(await processes("script", limits=LIMITS), write)
    assert len(await again(video)) == 1
    assert await again.outcomes() == ["crashed", "done"]


async def test_work_longer_than_its_lease_keeps_it(process: Process, processes: Processes, video: str) -> None:
    started = asyncio.Event()

    async def outlast(_task: Task) -> Script:
        started.set()
        await asyncio.sleep(1.5 * LEASE_S)  # the lease itself is what is waited out
        return OUTPUT

    working = asyncio.create_task(Stage(process, outlast)(video))
    await started.wait()
    await asyncio.sleep(1.2 * LEASE_S)
    with pytest.raises(ReturnTo):
        await Stage(await processes("script", limits=LIMITS), write)(video)
    assert len(await working) == 1


async def test_a_passing_failure_is_tried_again_later_and_counted(process: Process, video: str) -> None:
    stage = Stage(process, failing(RetryableError("no answer")))
    with pytest.raises(RetryLater, match="no answer") as got:
        await stage(video)
    assert LIMITS.retry_min_s / 2 <= got.value.delay_s <= LIMITS.retry_min_s
    assert await row(process, video) == ("processing", "", 1)
    [fact] = await Stage(process, write)(video, retries=1)
    assert said(fact)["attempt"] == "2"
    assert await stage.outcomes() == ["retried", "done"]


async def test_while_a_provider_is_left_alone_no_attempt_is_used_up(process: Process, video: str) -> None:
    stage = Stage(process, failing(NotNowError("openai is left alone for 40 s", after_s=40)))
    for retries in range(2 * LIMITS.max_attempts):
        with pytest.raises(RetryLater, match="left alone") as got:
            await stage(video, retries=retries)
        assert 40 <= got.value.delay_s <= 60
    assert await row(process, video) == ("processing", "", 0)
    await Stage(process, write)(video, retries=9)
    assert (await stage.outcomes())[-1] == "done"


async def test_while_the_store_is_away_no_attempt_is_used_up(process: Process, video: str) -> None:
    stage = Stage(process, failing(StoreUnavailableError("there is no bucket 'films'")))
    for retries in range(2 * LIMITS.max_attempts):
        with pytest.raises(RetryLater, match="no bucket"):
            await stage(video, retries=retries)
    assert await row(process, video) == ("processing", "", 0)


async def test_a_mistake_of_the_stage_is_tried_again_too(process: Process, video: str) -> None:
    with pytest.raises(RetryLater, match="ZeroDivisionError: oh"):
        await Stage(process, failing(ZeroDivisionError("oh")))(video)


async def test_exhausted_attempts_fail_the_video_with_a_reason_a_dead_letter_and_a_last_fact(
    process: Process, video: str
) -> None:
    stage = Stage(process, failing(RetryableError("no answer")))
    with pytest.raises(RetryLater):
        await stage(video)
    ending, dead = await stage(video, retries=1)
    reason = "RetryableError: no answer (after 2 attempts)"
    assert {"stream": "stream:videos", "type": "video.failed", "reason": reason}.items() <= said(ending).items()
    letter = {"stream": "stream:dead", "error": reason, "from_stream": "stream:admitted", "from_id": "1-0"}
    assert letter.items() <= said(dead).items()
    assert said(dead)["video"] == video
    assert (await row(process, video))[:2] == ("failed", reason)
    assert await value(process.postgres, "SELECT kind FROM refused_events WHERE from_id = '1-0'") == "dead"


async def test_a_permanent_failure_fails_the_video_at_once_with_its_hint(process: Process, video: str) -> None:
    ending, dead = await Stage(process, failing(PermanentError("no such voice", hint="name another")))(video)
    assert said(ending)["reason"] == "no such voice"
    assert said(dead)["hint"] == "name another"
    assert await row(process, video) == ("failed", "no such voice", 0)


async def test_a_reason_that_postgres_cannot_store_still_ends_the_video(process: Process, video: str) -> None:
    ending, _ = await Stage(process, failing(PermanentError("\x00 in \udcff.png")))(video)
    assert said(ending)["type"] == "video.failed"
    assert (await row(process, video))[:2] == ("failed", "\\0 in ?.png")


async def test_an_attempt_beyond_its_limit_is_a_passing_failure(
    process: Process, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = threading.Event()

    def hang(task: Task) -> Script:
        try:
            while True:
                task.checkpoint()
        finally:
            interrupted.set()

    async def work(task: Task) -> Script:
        return await asyncio.to_thread(hang, task)

    monkeypatch.setattr(flow, "limit_s", lambda *_, **__: 0.05)
    with pytest.raises(RetryLater, match=r"longer than its limit of 0\.05 s"):
        await Stage(process, work)(video)
    assert await asyncio.to_thread(interrupted.wait, PATIENCE_S), "its thread never met a checkpoint that raised"
    assert (await row(process, video))[2] == 1


async def test_a_time_out_of_the_work_itself_keeps_its_own_words(process: Process, video: str) -> None:
    with pytest.raises(RetryLater, match="the server was slow"):
        await Stage(process, failing(TimeoutError("the server was slow")))(video)


async def test_a_disk_without_room_for_scratch_is_a_passing_failure(
    process: Process, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(process, "scratch", full)
    stage = Stage(process, write)
    with pytest.raises(RetryLater, match="No space left"):
        await stage(video)
    assert await stage.outcomes() == ["retried"]


@pytest.mark.parametrize(("state", "interrupt"), [("halted", Halted), ("stopping", ShuttingDown)])
async def test_a_halt_in_mid_stage_releases_the_attempt_and_counts_no_failure(
    process: Process, video: str, state: str, interrupt: type[Interrupted]
) -> None:
    started = asyncio.Event()

    async def work(task: Task) -> Script:
        started.set()
        while True:
            task.checkpoint()
            await asyncio.sleep(0)

    stage = Stage(process, work)
    working = asyncio.create_task(outcome(stage(video)))
    await started.wait()
    process.gate.set("halted") if state == "halted" else process.gate.stop()
    assert isinstance(await working, interrupt)
    assert await stage.outcomes() == ["released"]
    assert await row(process, video) == ("processing", "", 0)


async def test_a_pause_lets_running_work_end(process: Process, video: str) -> None:
    async def work(task: Task) -> Script:
        process.gate.set("paused")
        task.checkpoint()
        return OUTPUT

    assert len(await Stage(process, work)(video)) == 1


async def test_a_superseded_attempt_is_interrupted_commits_nothing_and_is_handed_back(
    process: Process, video: str
) -> None:
    overtaken = asyncio.Event()

    async def work(task: Task) -> Script:
        await _overtake(process, video)
        overtaken.set()
        while True:  # until the renewal finds out
            task.checkpoint()
            await asyncio.sleep(0.01)

    stage = Stage(process, work)
    assert isinstance(await outcome(stage(video)), Superseded)
    assert overtaken.is_set()
    assert await stage.outcomes() == ["crashed", "running"]


@pytest.mark.parametrize("end", [OUTPUT, RetryableError("late"), PermanentError("late")])
async def test_a_superseded_attempt_that_ends_all_the_same_changes_nothing(
    process: Process, video: str, end: Script | Exception
) -> None:
    async def work(_task: Task) -> Script:
        await _overtake(process, video)
        if isinstance(end, Exception):
            raise end
        return end

    stage = Stage(process, work)
    assert isinstance(await outcome(stage(video)), Superseded)
    assert await stage.outcomes() == ["crashed", "running"]
    assert await row(process, video) == ("processing", "", 0)


async def test_an_entry_of_an_unknown_video_goes_to_the_dead_letters(process: Process) -> None:
    [dead] = await Stage(process, write)("nobody")
    assert {"stream": names.DEAD, "error": "unknown video", "video": "nobody"}.items() <= said(dead).items()
    assert await value(process.postgres, "SELECT error FROM refused_events WHERE kind = 'dead'") == "unknown video"


async def test_an_entry_that_is_no_fact_goes_to_the_dead_letters_with_its_fields(process: Process) -> None:
    entry = Entry("stream:admitted", "1-0", {b"hello": b"\xff"}, "script", "stream:admitted", "1-0")
    [dead] = await StageActor(process, SCRIPT, write)(Delivered(entry, "test"))
    assert dead.stream == names.DEAD
    assert dict(dead.fields)[b"hello"] == b"\xff"  # type: ignore[index] # rejections are bytes


async def _overtake(process: Process, video: str) -> None:
    """What happens when this attempt's lease ran out unseen and another worker took the stage."""
    await value(
        process.postgres,
        "UPDATE video_stages SET lease_until = now() - interval '1 h' WHERE status = 'running' RETURNING 1",
    )
    other = Claims(process.postgres, worker="heir", lease_s=0.001, max_crashes=5)
    await other.claim(video, SCRIPT, entry="stream:admitted/9-0", delayed=False)
