"""Guardians as processes of their own, and what they said."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import asyncpg
import pytest

from deploy.launch.ports import free_ports
from streams import names
from tests.fakes.nvml import Driver
from tests.integration.processes import entries
from tests.integration.streams.workers import Server

#: As an old dump has none of these.
_NO_CHECKS = """
ALTER TABLE video_queue DROP CONSTRAINT completed_has_its_time;
ALTER TABLE video_stages DROP CONSTRAINT done_has_its_output;
ALTER TABLE pipeline_costs DROP CONSTRAINT amount_is_plausible"""
Notices = list[dict[str, str]]


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    """The fake driver, with one idle card."""
    return Driver(tmp_path)


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Somebody at psql, on a database without CHECK constraints."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(_NO_CHECKS)
    yield connection
    await connection.close()


class Guardian:
    """A guardian in a process of its own."""

    def __init__(self, name: str, environ: Mapping[str, str], log: Path) -> None:
        self.metrics_port, self._log = free_ports(), log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                (sys.executable, "-m", "guardians", name),
                env={**os.environ, "YTEMPIRE_METRICS_PORT": str(self.metrics_port), **environ},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        """What it logged so far."""
        return self._log.read_text("utf-8")

    def exported(self) -> str:
        """What Prometheus would read."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())


StartGuardian = Callable[..., Guardian]


@pytest.fixture
def start_guardian(valkey_url: str, database_url: str, tmp_path: Path) -> Iterator[StartGuardian]:
    """Starts guardians that tick often; they end with the test."""
    started: list[Guardian] = []

    def start(name: str, **environ: str) -> Guardian:
        settings = {
            "REDIS_URL": valkey_url,
            "DATABASE_URL": database_url,
            "YTEMPIRE_DATA_DIR": str(tmp_path),
            "YTEMPIRE_BLOCK_S": "0.1",
            "YTEMPIRE_GUARDIAN_TICK_S": "0.02",
        }
        started.append(Guardian(name, {**settings, **environ}, tmp_path / f"{name}.log"))
        return started[-1]

    yield start
    for guardian in started:
        guardian.process.kill()
        guardian.process.wait()


def notices(server: Server, type_: str = "") -> Notices:
    """What was said on stream:notices, of one type or of all."""
    found = [
        {name.decode(): text.decode() for name, text in fields.items()} for fields in entries(server, names.NOTICES)
    ]
    return [notice for notice in found if notice["type"].startswith(type_)]
