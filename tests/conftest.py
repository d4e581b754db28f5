"""Real servers for the tests: one embedded Valkey and one embedded Postgres a session, on free ports.

Each test gets an empty Valkey and a database of its own. Servers end and their files go with the session, also after
Ctrl-C or a kill: the kernel tells them when we die.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deploy.launch import postgres, probes, valkey
from deploy.launch.ports import free_ports
from deploy.launch.program import running

_database_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole factories run one after the other, in one of the test processes: two at once would only be slow."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.xdist_group("factories"))


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """Where the session's servers keep their data; gone with the session."""
    with TemporaryDirectory(prefix="ytempire-tests-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def valkey_port(servers_dir: Path) -> Iterator[int]:
    """The session's Valkey."""
    port = free_ports()
    with running(valkey.valkey(servers_dir / "valkey", port), servers_dir / "valkey.log"):
        yield port


@pytest.fixture
def valkey_url(valkey_port: int) -> str:
    """An empty Valkey."""
    answer = asyncio.run(probes.ask(valkey_port, b"FLUSHALL\r\n", until=lambda answer: answer.endswith(b"\r\n")))
    assert answer == b"+OK\r\n"
    return valkey.url(valkey_port)


@pytest.fixture(scope="session")
def postgres_port(servers_dir: Path) -> Iterator[int]:
    """The session's Postgres; it would not survive a power cut, which makes it fast."""
    port = free_ports()
    with running(postgres.postgres(servers_dir / "postgres", port, durable=False), servers_dir / "postgres.log"):
        yield port


@pytest.fixture
def empty_database_url(postgres_port: int) -> Iterator[str]:
    """A fresh database with nothing in it, owned by the role ytempire."""
    yield from _database(postgres_port, template="template0")


@pytest.fixture(scope="session")
def migrated_template(postgres_port: int) -> str:
    """The name of a database with the migrations applied, to copy from."""
    from schema.record.migrations import migrate  # noqa: PLC0415 - only tests that use the record need it

    _sql(postgres_port, "CREATE DATABASE migrated")
    asyncio.run(migrate(postgres.url(postgres_port, "migrated")))
    return "migrated"


@pytest.fixture
def database_url(postgres_port: int, migrated_template: str) -> Iterator[str]:
    """A fresh database with the migrations applied."""
    yield from _database(postgres_port, template=migrated_template)


def _database(port: int, template: str) -> Iterator[str]:
    name = f"test_{next(_database_numbers)}"
    _sql(port, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield postgres.url(port, name)
    _sql(port, f"DROP DATABASE {name} WITH (FORCE)")


def _sql(port: int, statement: str) -> None:
    psql = postgres.tools_folder() / "psql"
    command = (psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", postgres.url(port, "postgres"), "-c", statement)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)
