"""Acceptance 6: one line stops everything, junk and all; only a right resume goes on, and nothing is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import psutil
import pytest

from schema.events.command import Command
from schema.record.gate import GateRecord
from schema.record.postgres import Postgres
from schema.settings.servers import Servers
from tests.factory.running import STUBS, Factory, factory

pytestmark = pytest.mark.slow

NOTES = "Rivers carry more than water. " * 12
_STAGE_S = "1.5"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    """One factory whose stages take their time."""
    folder = tmp_path_factory.mktemp("data")
    with factory(folder, procfile=STUBS, environ={"STUB_STAGE_S": _STAGE_S}) as started:
        yield started


def _submit_and_wait_for(running: Factory, stage: str) -> str:
    """A video of which `stage` is being worked on; returns its id."""
    seen = running.started(stage)
    video = running.receipt(running.submit(topic=f"Stop in {stage}", notes=NOTES))["video"]
    running.until(lambda: running.started(stage, seen))
    return video


def _completes(running: Factory, video: str) -> None:
    running.until(lambda: running.rows("SELECT 1 FROM video_queue WHERE id = $1 AND status = 'completed'", video))


def _attempts(running: Factory, video: str, stage: str) -> list[str]:
    rows = running.rows(
        "SELECT outcome FROM stage_attempts WHERE video_id = $1 AND stage = $2 ORDER BY attempt", video, stage
    )
    return [str(outcome) for (outcome,) in rows]


def _failures(running: Factory, video: str) -> object:
    return running.rows("SELECT sum(failures + crashes) FROM video_stages WHERE video_id = $1", video)[0][0]


def test_a_halt_with_junk_in_mid_stage_releases_the_work_and_only_a_right_resume_goes_on(running: Factory) -> None:
    video = _submit_and_wait_for(running, "media")
    began_s = time.monotonic()
    assert running.command(type="halt", rezon="misspelt", priority="\u2620")["gate"] == "halted"
    running.until(lambda: _attempts(running, video, "media") == ["released"], within_s=2)
    assert time.monotonic() - began_s < 2
    assert _failures(running, video) == 0
    for wrong in ({"type": "resume", "all": "yes"}, {"type": "RESUME"}, {"type": "restart"}):
        receipt = running.command(**wrong)
        assert receipt["status"] == "rejected"
        assert receipt["hint"].startswith("redis-cli XADD stream:control '*' type ")
    assert running.rows("SELECT count(*) FROM holds") == [(1,)]
    waiting = running.receipt(running.submit(topic="Sent during the halt", notes=NOTES))
    assert waiting["status"] in ("waiting", "queued")
    assert running.command(type="resume")["gate"] == "open"
    _completes(running, video)
    _completes(running, waiting["video"])
    assert _attempts(running, video, "media") == ["released", "done"]
    assert _failures(running, video) == 0


def test_a_pause_lets_the_running_stage_end_and_starts_nothing_new(running: Factory) -> None:
    video = _submit_and_wait_for(running, "script")
    assert running.command(type="pause")["gate"] == "paused"
    running.until(lambda: _attempts(running, video, "script") == ["done"])
    last = running.receipt(running.submit(topic="Sent during the pause", notes=NOTES))["video"]
    running.until(lambda: running.rows("SELECT 1 FROM video_queue WHERE id = $1 AND status = 'queued'", last))
    assert _attempts(running, video, "media") == []
    assert running.command(type="resume")["gate"] == "open"
    _completes(running, video)
    _completes(running, last)


def test_a_process_that_starts_during_a_halt_takes_nothing(running: Factory) -> None:
    running.command(type="halt")
    video = running.receipt(running.submit(topic="Waits for the new process", notes=NOTES))["video"]
    ready = _ready(running, "script")
    psutil.Process(running.pid_of("script")).kill()
    running.until(lambda: _ready(running, "script") > ready)
    assert _attempts(running, video, "script") == []
    running.command(type="resume")
    _completes(running, video)


def test_a_halt_reaches_everybody_within_two_seconds_while_redis_does_not_answer(running: Factory) -> None:
    valkey = psutil.Process(running.pid_of("valkey"))
    with asyncio.Runner() as runner:
        postgres = Postgres(running.database_url, Servers(), process="test")
        runner.run(postgres.open())
        video = _submit_and_wait_for(running, "script")
        valkey.suspend()
        try:
            # what `./ytempire halt` does first
            runner.run(GateRecord(postgres).apply(Command(verb="halt", id="direct"), entry_id=None))
            running.until(lambda: _attempts(running, video, "script") == ["released"], within_s=2)
        finally:
            valkey.resume()
            runner.run(postgres.close())
    running.until(lambda: _resumed(running))
    _completes(running, video)


def _ready(running: Factory, name: str) -> int:
    """How often this process has become ready."""
    return sum(event.get("event") == "process.ready" for event in running.events(name))


def _resumed(running: Factory) -> bool:
    """A hold that was not in the stream when the first resume came is lifted by a later one."""
    return running.command(type="resume")["gate"] == "open"
