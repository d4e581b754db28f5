"""One empty bus a test, of each kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.launch import valkey
from deploy.launch.ports import free_ports
from deploy.launch.program import running
from tests.conformance.buses import Bus, MemoryBus, ServerBus, debians_redis


@pytest.fixture(scope="session")
def redis_url(servers_dir: Path) -> Iterator[str]:
    """The session's redis-server, as Debian has it; skipped on a laptop that has none, never in CI."""
    port = free_ports()
    program = debians_redis(servers_dir / "redis", port)
    if program is None:
        reason = "there is no redis-server on PATH: apt-get install redis-server"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with running(program, servers_dir / "redis.log"):
        yield valkey.url(port)


@pytest.fixture(params=["memory", "valkey", "redis"])
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    """The bus under test."""
    made: Bus
    if request.param == "memory":
        made = MemoryBus()
    else:
        made = ServerBus(request.getfixturevalue(f"{request.param}_url"))
        made.wipe()
    yield made
    made.close()
