"""Work that hangs in native code: its process ends itself, its neighbours are released, another one goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.launch.ports import free_ports
from schema import flow
from schema.events import fact as facts
from schema.record.videos import Videos
from streams import hangs
from streams.process import Process
from streams.publish import publish
from tests.integration.processes import Processes, until
from tests.integration.record.conftest import admitted, execute, value

pytestmark = pytest.mark.slow

Start = Callable[[str], subprocess.Popen[bytes]]
WITHIN_S = 30.0
_BRIEF = """
UPDATE video_queue SET brief = brief || jsonb_build_object('topic', $2::text, 'length_s', $3::float8) WHERE id = $1"""
_STORY = """SELECT array_agg(outcome ORDER BY attempt) FROM stage_attempts WHERE video_id = $1"""


class Log:
    """What the processes of a test say."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def text(self) -> str:
        """All of it so far."""
        return self.path.read_text("utf-8")


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


@pytest.fixture
def start(valkey_url: str, database_url: str, tmp_path: Path, log: Log) -> Iterator[Start]:
    """Starts script stages that hang in one way; they end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def run(how: str) -> subprocess.Popen[bytes]:
        settings = {
            "REDIS_URL": valkey_url,
            "DATABASE_URL": database_url,
            "YTEMPIRE_DATA_DIR": str(tmp_path),
            "YTEMPIRE_METRICS_PORT": str(free_ports()),
            "YTEMPIRE_BLOCK_S": "0.1",
            "YTEMPIRE_LEASE_S": "0.8",
            "YTEMPIRE_RETRY_MIN_S": "0.05",
            "YTEMPIRE_HANG_GRACE_S": "1",
        }
        with log.path.open("ab") as output:
            command = (sys.executable, "-m", "tests.factory.hanging_stage", how)
            started.append(subprocess.Popen(command, env={**os.environ, **settings}, stdout=output, stderr=output))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


async def _submit(process: Process, topic: str, length_s: float) -> str:
    video = await admitted(Videos(process.postgres), topic)
    await execute(process.postgres, _BRIEF, video, topic, length_s)
    fact = facts.admission(video, at=datetime.now(UTC), traceparent="")
    await asyncio.to_thread(publish, process.transport, flow.ADMITTED_STREAM, facts.to_fields(fact))
    return video


async def _story(process: Process, video: str) -> object:
    return await value(process.postgres, _STORY, video)


async def test_a_thread_that_hangs_is_tried_again_and_its_process_ends_after_its_neighbours_were_released(
    start: Start, processes: Processes, log: Log
) -> None:
    process = await processes("test")
    neighbour, hanging = await _submit(process, "wait", 6000), await _submit(process, "hang", 50)
    hangs_now = start("thread")
    code = await asyncio.to_thread(hangs_now.wait, WITHIN_S)
    said = log.text()
    assert code == hangs.EXIT_CODE, said
    assert await _story(process, hanging) == ["retried", "done"]
    assert await _story(process, neighbour) == ["released"]
    assert '"stage.hangs"' in said
    assert "longer than its limit of 0.5 s" in said
    start("thread")

    async def goes_on() -> bool:
        return await _story(process, neighbour) == ["released", "done"]

    await until(goes_on)


@pytest.mark.parametrize(("how", "code"), [("gil", 1), ("stubborn", hangs.EXIT_CODE)])
async def test_a_process_that_is_held_by_native_code_or_by_a_stubborn_attempt_ends_and_another_goes_on(
    start: Start, processes: Processes, log: Log, how: str, code: int
) -> None:
    process = await processes("test")
    video = await _submit(process, "hang", 50)
    hangs_now = start(how)
    assert await asyncio.to_thread(hangs_now.wait, WITHIN_S) == code, log.text()
    assert "hanging_stage.py" in log.text(), "the trace says where it hung"
    assert await _story(process, video) == ["running"]
    start(how)

    async def goes_on() -> bool:
        return await _story(process, video) == ["crashed", "done"]

    await until(goes_on)
