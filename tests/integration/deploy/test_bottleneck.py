from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from schema.record.postgres import Postgres
from schema.settings.servers import Servers
from tests.integration.record.conftest import execute

_ATTEMPT = """INSERT INTO stage_attempts (video_id, stage, attempt, worker, started_at, ended_at, outcome)
              VALUES ('v', $1, 1, 'w', now() - make_interval(secs => 60 + $2), now() - interval '60 s', 'done')"""


async def _record(database_url: str, *stages: tuple[str, float]) -> None:
    postgres = Postgres(database_url, Servers(), process="test")
    await postgres.open()
    for stage, seconds in stages:
        await execute(postgres, _ATTEMPT, stage, seconds)
    await postgres.close()


def _bottleneck(database_url: str, valkey_url: str, *options: str) -> str:
    done = subprocess.run(
        (sys.executable, "-m", "deploy", "bottleneck", *options),
        env={**os.environ, "DATABASE_URL": database_url, "REDIS_URL": valkey_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("options", [(), ("--json",)])
async def test_the_slowest_stage_of_the_last_hour_comes_first(
    database_url: str, valkey_url: str, options: tuple[str, ...]
) -> None:
    await _record(database_url, ("script", 2.0), ("render", 90.0))
    shown = _bottleneck(database_url, valkey_url, *options)
    if options:
        row = {"stage": "video_rendering", "average_s": 90.0, "longest_s": 90.0, "attempts": 1}
        assert json.loads(shown)[0] == row
    else:
        _, slowest, second = shown.splitlines()
        assert slowest.split() == ["video_rendering", "90.0", "s", "90.0", "s", "1"]
        assert second.startswith("script_generation")


def test_without_finished_work_it_says_so(database_url: str, valkey_url: str) -> None:
    assert _bottleneck(database_url, valkey_url) == "no stage has finished within the last hour\n"
    assert json.loads(_bottleneck(database_url, valkey_url, "--json")) == []
