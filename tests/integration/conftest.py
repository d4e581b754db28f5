"""What tests of single parts share: processes on an empty bus and a fresh record, and a plain client to look with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streams.transport.connection import Connection
from tests.integration.processes import Processes
from tests.integration.streams.workers import Server


@pytest.fixture
async def processes(valkey_url: str, database_url: str, tmp_path: Path) -> AsyncIterator[Processes]:
    """Makes processes, and ends them."""
    made = Processes(valkey_url, database_url, tmp_path)
    yield made
    await made.close()


@pytest.fixture
def redis_server(valkey_url: str) -> Iterator[Server]:
    """A plain client, as an operator has one."""
    connection = Connection(valkey_url, block_s=1.0)
    yield connection.commands
    connection.close()
