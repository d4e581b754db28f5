"""Acceptance 1 and 3: a topic typed into a running factory becomes a film that others measure as promised."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from actors.rendering.planning.plan import Plan
from deploy.launch.plan import ROOT
from tests.acceptance import measuring
from tests.factory.running import Factory, factory

pytestmark = pytest.mark.slow

_WORKERS = 12
#: The runbook's queries as it has them, and the first column of what they answer for one finished film.
_RUNBOOK = {
    "SELECT COUNT(*) FROM video_queue WHERE created_at > CURRENT_DATE;": "1",
    "SELECT SUM(amount) FROM pipeline_costs WHERE timestamp > CURRENT_DATE;": "",
    "SELECT * FROM pg_locks WHERE granted = false;": "",
    """SELECT status, COUNT(*) FROM video_queue
       WHERE created_at > NOW() - INTERVAL '24 hours' GROUP BY status;""": "completed",
    """SELECT id, processing_started_at FROM video_queue
       WHERE status = 'processing' AND processing_started_at < NOW() - INTERVAL '30 minutes';""": "",
    """SELECT service, AVG(amount) as avg_cost, COUNT(*) as count FROM pipeline_costs
       WHERE timestamp > NOW() - INTERVAL '1 hour' GROUP BY service ORDER BY avg_cost DESC;""": "",
    """SELECT stage, AVG(duration) as avg_duration, MAX(duration) as max_duration FROM pipeline_stage_times
       WHERE timestamp > NOW() - INTERVAL '1 hour' GROUP BY stage ORDER BY avg_duration DESC""": "video_rendering",
    """SELECT video_id, SUM(amount) as total FROM pipeline_costs
       WHERE timestamp > NOW() - INTERVAL '1 hour' GROUP BY video_id HAVING SUM(amount) > 3.0;""": "",
    "SELECT COUNT(*) FROM video_queue WHERE status = 'completed' AND completed_at IS NULL;": "0",
    "SELECT COUNT(*) FROM pipeline_costs WHERE amount < 0 OR amount > 10;": "0",
}
_FACTS = ("admitted", "scripts", "media", "audio", "renders", "videos")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    """One real factory for this file."""
    with factory(tmp_path_factory.mktemp("factory")) as real:
        yield real


def _shell(running: Factory, command: str) -> str:
    """What a command prints in a shell that took the factory's environment, as the README says."""
    return _printed(f"eval {shlex.quote(_environment(running.folder))}; {command}")


@cache  # as whoever types several commands: it is taken once
def _environment(data: Path) -> str:
    return _printed(f"{ROOT}/ytempire env --data {data}")


def _printed(script: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("YTEMPIRE_", "REDIS", "PG"))}
    done = subprocess.run(("sh", "-c", script), capture_output=True, text=True, check=False, timeout=60, env=clean)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.strip()


def _plan(running: Factory, video: str) -> Plan:
    [path] = (running.folder / "work" / video).glob("render-*-plan.json")
    return msgspec.json.decode(path.read_bytes(), type=Plan)


def test_a_line_of_redis_cli_becomes_a_film_and_every_answer_of_the_runbook(running: Factory) -> None:
    measuring.needs_ffmpeg()
    entry = _shell(running, "redis-cli XADD stream:intake '*' topic 'Why octopuses have three hearts' length 45s")
    video = running.receipt(entry)["video"]
    assert _shell(running, f"redis-cli HGET receipt:{entry} video") == video
    running.until(lambda: running.statuses().get("completed"), within_s=200)
    film = running.folder / "videos" / f"{video}.mp4"
    streams = measuring.probe(film)
    assert (streams.video_codec, streams.width, streams.height, streams.frame_rate) == ("h264", 1920, 1080, "30/1")
    assert streams.audio_codec == "aac"
    assert streams.duration_s >= 40
    assert measuring.loudness_lufs(film) == pytest.approx(-14, abs=1)
    assert measuring.black_or_frozen(film) == []
    errors = measuring.caption_errors_s(film, _plan(running, video))
    assert len(errors) > 40
    assert np.median(errors) < 0.120
    for name in _FACTS:
        assert video in _shell(running, f"redis-cli XRANGE stream:{name} - +")
    psql = "psql -U ytempire -At -c"
    for query, answer in _RUNBOOK.items():
        assert _shell(running, f'{psql} "{query}"').partition("|")[0] == answer
    assert _shell(running, "redis-cli zcard queue:priority") == "0"
    assert _shell(running, "redis-cli smembers queue:processing") == ""
    for port in range(running.metrics_port, running.metrics_port + _WORKERS):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert b"ytempire_build_info" in answer.read()


def test_an_upright_film_is_1080_by_1920(running: Factory) -> None:
    measuring.needs_ffmpeg()
    entry = running.submit(topic="Why the sky is blue", aspect="9:16", length="15s")
    video = running.receipt(entry)["video"]
    done = "SELECT 1 FROM video_queue WHERE id = $1 AND status = 'completed'"
    running.until(lambda: running.rows(done, video), within_s=120)
    streams = measuring.probe(running.folder / "videos" / f"{video}.mp4")
    assert (streams.width, streams.height) == (1080, 1920)


def test_a_render_killed_in_mid_film_is_made_again_and_its_child_dies_with_it(running: Factory) -> None:
    entry = running.submit(topic="Why the sky is blue", length="12s", key="killed in mid-render")
    video = running.receipt(entry)["video"]
    render = running.pid_of("render")
    child = running.until(
        lambda: [one for one in running.children() if one.ppid() == render and "film" in one.cmdline()], within_s=60
    )[0]
    os.kill(render, signal.SIGKILL)
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()
    done = "SELECT 1 FROM video_queue WHERE id = $1 AND status = 'completed'"
    running.until(lambda: running.rows(done, video), within_s=120)
    outcomes = running.rows(
        "SELECT outcome FROM stage_attempts WHERE video_id = $1 AND stage = 'render' ORDER BY attempt", video
    )
    assert outcomes == [("crashed",), ("done",)]
