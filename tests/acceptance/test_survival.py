"""Acceptance 5: each process killed in mid-work, both servers, and one FLUSHALL: every video completes, once."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from schema import flow
from tests.factory.running import STUBS, Factory, factory

NOTES = "Rivers carry more than water. " * 12
STAGES = tuple(stage.name for stage in flow.STAGES)
#: An attempt of these is surely running when another one is interrupted.
_STAGE_S = "1.0"


def _kill(running: Factory, victim: str, while_running: str) -> None:
    """Submit a video and kill `victim` while an attempt at `while_running` is running."""
    seen = running.started(while_running)
    running.submit(topic=f"Kill {victim}", notes=NOTES)
    running.until(lambda: running.started(while_running, seen))
    pid = running.pid_of(victim)
    os.kill(pid, signal.SIGKILL)
    running.until(lambda: _pid(running, victim) not in (0, pid))


def _pid(running: Factory, name: str) -> int:
    """The process that runs `name` at this moment; 0 where none does."""
    try:
        return running.pid_of(name)
    except LookupError:
        return 0


def _starts(running: Factory, stage: str, video: str) -> bool:
    """Whether an attempt at the stage of this video was started."""
    started = (event for event in running.events(stage) if event.get("event") == "stage.started")
    return any(event.get("video") == video for event in started)


def _flush_what_nobody_works_on(running: Factory) -> None:
    """Wipe Redis while a fact waits there behind a pause: no attempt publishes it again, only the record can."""
    video = running.receipt(running.submit(topic="Flush while paused", notes=NOTES))["video"]
    running.until(lambda: _starts(running, "script", video))  # its own: what went before may still be catching up
    running.command(type="pause")
    running.until(
        lambda: (
            video.encode()
            in {entry.fields[b"video"] for entry in running.transport.observe({"stream:scripts": "0-0"}, 0.1)}
        )
    )
    running.flushall()
    running.command(type="resume")


@pytest.mark.slow
def test_every_process_and_server_killed_in_mid_work_and_a_flushall_lose_nothing_and_commit_nothing_twice(
    tmp_path: Path,
) -> None:
    victims = {
        **{stage: stage for stage in STAGES},
        "intake": "media",
        "control": "render",
        "dispatch": "audio",
        "integrity": "script",
        "valkey": "render",
        "postgres": "media",
    }
    with factory(tmp_path, procfile=STUBS, environ={"STUB_STAGE_S": _STAGE_S}) as running:
        for victim, stage in victims.items():
            _kill(running, victim, stage)
        seen = running.started("audio")
        running.submit(topic="Flush", notes=NOTES)
        running.until(lambda: running.started("audio", seen))
        running.flushall()
        _flush_what_nobody_works_on(running)
        total = len(victims) + 2
        running.until(lambda: running.statuses() == {"completed": total}, within_s=120)
        done = running.rows("SELECT video_id, stage, count(*) FROM stage_attempts WHERE outcome = 'done' GROUP BY 1, 2")
        assert len(done) == total * len(STAGES)
        assert {count for _, _, count in done} == {1}
        crashed = running.rows("SELECT DISTINCT stage FROM stage_attempts WHERE outcome = 'crashed'")
        assert {stage for (stage,) in crashed} >= set(STAGES)
        assert running.rows("SELECT count(*) FROM stage_attempts WHERE outcome = 'running'") == [(0,)]


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_and_the_next_up_goes_on_with_what_was_in_hand(tmp_path: Path) -> None:
    with factory(tmp_path, procfile=STUBS, environ={"STUB_STAGE_S": "2"}) as running:
        entry = running.submit(topic="Interrupted", notes=NOTES)
        video = running.receipt(entry)["video"]
        running.until(lambda: running.started("media"))
        children = running.children()
        assert running.stop(signal.SIGINT) == 0
        assert not [child for child in children if child.is_running() and child.status() != "zombie"]
        assert not list((tmp_path / "scratch").glob("*"))
        assert not [path for path in tmp_path.rglob("*") if path.is_socket()]
        running.start()
        running.until(lambda: running.statuses() == {"completed": 1})
        attempts = running.rows(
            "SELECT outcome, count(*) FROM stage_attempts WHERE video_id = $1 AND stage = 'media' GROUP BY 1", video
        )
        assert sorted(attempts) == [("done", 1), ("released", 1)]
