"""Processes as the Procfile starts them: ready, told to end, and in front of what they cannot use."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.launch import probes
from deploy.launch.ports import free_ports
from tests.integration.streams.workers import Server

WITHIN_S = 30.0
Start = Callable[..., subprocess.Popen[str]]
ACTORS = (
    *(("actors", name) for name in ("intake", "control", "dispatch")),
    *(("guardians", name) for name in ("integrity", "cost", "gpu", "stuck", "vitals")),
)


@pytest.fixture
def start(valkey_url: str, database_url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts one process; it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(module: str, name: str, **environ: str) -> subprocess.Popen[str]:
        settings = {
            "REDIS_URL": valkey_url,
            "DATABASE_URL": database_url,
            "YTEMPIRE_DATA_DIR": str(tmp_path),
            "YTEMPIRE_BLOCK_S": "0.2",
            "YTEMPIRE_METRICS_PORT": str(free_ports()),
            **environ,
        }
        process = subprocess.Popen(
            (sys.executable, "-m", module, name),
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def _until_it_says(process: subprocess.Popen[str], event: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if f'"{event}"' in line:
            return
    raise AssertionError(f"it ended without {event}")


@pytest.mark.parametrize(("module", "name"), [("tests.factory.stub_stage", "script"), *ACTORS])
def test_each_shows_its_metrics_when_it_is_ready_and_ends_cleanly_when_told(
    start: Start, module: str, name: str
) -> None:
    port = free_ports()
    process = start(module, name, YTEMPIRE_METRICS_PORT=str(port))
    _until_it_says(process, "process.ready")
    assert asyncio.run(probes.exporter_answers(port))
    process.send_signal(signal.SIGTERM)
    said, complaints = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, complaints
    assert '"process.stopped"' in said
    assert complaints == ""


@pytest.mark.parametrize(("module", "name"), [("actors", "intake"), ("actors", "dispatch")])
@pytest.mark.parametrize("away", ["REDIS_URL", "DATABASE_URL"])
def test_one_that_waits_for_a_server_ends_at_once_when_told(start: Start, module: str, name: str, away: str) -> None:
    nowhere = {"REDIS_URL": "redis://127.0.0.1:{}/0", "DATABASE_URL": "postgresql://ytempire@127.0.0.1:{}/ytempire"}
    process = start(module, name, **{away: nowhere[away].format(free_ports())})
    _until_it_says(process, "redis.away" if away == "REDIS_URL" else "postgres.away")
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, complaints


def test_a_server_that_may_evict_is_refused_in_one_line_that_names_the_setting(
    start: Start, redis_server: Server
) -> None:
    redis_server.config_set("maxmemory-policy", "allkeys-lru")
    try:
        process = start("actors", "intake")
        _, complaints = process.communicate(timeout=WITHIN_S)
    finally:
        redis_server.config_set("maxmemory-policy", "noeviction")
    assert process.returncode == 1
    [line] = complaints.splitlines()
    assert "maxmemory-policy is allkeys-lru, expected noeviction" in line


def test_a_request_that_kills_intake_again_and_again_has_its_row_before_it_is_a_dead_letter(
    start: Start, redis_server: Server, database_url: str
) -> None:
    entry_id = redis_server.xadd("stream:intake", {"topic": "poison"})
    redis_server.xgroup_create("stream:intake", "intake", id="0")
    redis_server.xreadgroup("intake", "dead", {"stream:intake": ">"})
    redis_server.xclaim("stream:intake", "intake", "dead", 0, [entry_id], idle=60_000, retrycount=10, justid=True)
    process = start("actors", "intake")
    _until_it_says(process, "entry.dead")
    [(_, letter)] = _until_there_are(redis_server, "stream:dead")
    assert letter[b"from_id"] == entry_id
    sql = "SELECT error FROM refused_events WHERE from_stream = 'stream:intake' AND from_id = $1 AND kind = 'dead'"
    assert asyncio.run(_value(database_url, sql, entry_id.decode())) == letter[b"error"].decode()


def _until_there_are(server: Server, stream: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    end_s = time.monotonic() + WITHIN_S
    while not (found := server.xrange(stream)):
        assert time.monotonic() < end_s, f"nothing in {stream}"
        time.sleep(0.01)
    return list(found)


async def _value(database_url: str, sql: str, *arguments: str) -> object:
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchval(sql, *arguments)
    finally:
        await connection.close()


@pytest.mark.parametrize("module", ["actors", "guardians"])
def test_a_name_that_is_none_is_refused_with_those_there_are(start: Start, module: str) -> None:
    process = start(module, "butler")
    _, complaints = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 2
    assert "'butler'; there are " in complaints
