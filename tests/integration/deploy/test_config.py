from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from deploy.launch import postgres, probes
from deploy.launch.plan import ROOT
from deploy.launch.ports import free_ports
from deploy.launch.program import Program, running
from schema.errors import ConfigurationError
from schema.record.postgres import Postgres
from schema.release import RELEASE
from schema.settings.servers import Servers
from streams.transport.connection import Connection
from streams.transport.server import problems

CONFIG = ROOT / "deploy/config"
#: What prepared statements need in the middle of transaction pooling.
OLDEST_PGBOUNCER = (1, 21)


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server")
def test_a_redis_with_our_file_carries_the_bus(tmp_path: Path) -> None:
    port = free_ports()
    program = Program(
        name="redis",
        argv=("redis-server", str(CONFIG / "redis.conf"), "--port", str(port), "--dir", str(tmp_path)),
        environ={},
        answers=partial(probes.valkey_answers, port),
    )
    with running(program, tmp_path / "log"):
        connection = Connection(f"redis://127.0.0.1:{port}/0", block_s=1.0)
        try:
            assert problems(connection.call(connection.commands.info)) == []
            told = {name: connection.ask("CONFIG", "GET", name)[1] for name in ("save", "appendfsync", "maxmemory")}
            assert told == {"save": b"", "appendfsync": b"everysec", "maxmemory": b"8589934592"}
        finally:
            connection.close()


@pytest.fixture
def configured_port(tmp_path: Path) -> Iterator[int]:
    """An embedded Postgres with our file; the memory of a server is made smaller, nothing else."""
    port = free_ports()
    ours = postgres.postgres(tmp_path / "postgres", port)
    ours.prepare()
    smaller = "shared_buffers = 16MB\n"
    path = tmp_path / "postgres/postgresql.conf"
    path.write_text(path.read_text() + f"\ninclude '{CONFIG / 'postgresql.conf'}'\n" + smaller)
    with running(ours, tmp_path / "log"):
        yield port


@pytest.mark.slow
async def test_a_postgres_with_our_file_carries_the_record(configured_port: int) -> None:
    told = await asyncpg.connect(postgres.url(configured_port))
    wrong = await told.fetch("SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL")
    ours = await told.fetch(
        "SELECT name FROM pg_file_settings WHERE sourcefile LIKE '%deploy/config/postgresql.conf' AND NOT applied"
    )
    pending = await told.fetchval("SELECT count(*) FROM pg_settings WHERE pending_restart")
    assert await told.fetchval("SHOW max_connections") == "100"
    await told.close()
    assert ([tuple(row) for row in wrong], [row["name"] for row in ours], pending) == ([], ["shared_buffers"], 0)
    record = Postgres(postgres.url(configured_port), Servers(), process="test")
    await record.open()
    await record.close()


def test_no_setting_of_a_file_is_given_twice() -> None:
    for name in ("redis.conf", "postgresql.conf", "pgbouncer.ini"):
        keys = re.findall(r"^([a-z_-]+)\b(?=[ =])", (CONFIG / name).read_text(), re.MULTILINE)
        assert len(keys) > 5
        assert len(keys) == len(set(keys)), name


def _pgbouncer() -> str | None:
    """A pgbouncer that is new enough."""
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        return None
    said = subprocess.run((found, "--version"), capture_output=True, text=True, check=True, timeout=10).stdout
    version = re.search(r"(\d+)\.(\d+)", said)
    return found if version and (int(version[1]), int(version[2])) >= OLDEST_PGBOUNCER else None


needs_pgbouncer = pytest.mark.skipif(
    _pgbouncer() is None, reason=f"needs pgbouncer {OLDEST_PGBOUNCER[0]}.{OLDEST_PGBOUNCER[1]} or newer"
)


@pytest.fixture
def bouncer_port(tmp_path: Path, postgres_port: int, database_url: str) -> Iterator[int]:
    """Our file with the places of this test, and few connections to the server, so that clients really share them."""
    port, text = free_ports(), (CONFIG / "pgbouncer.ini").read_text()
    users = tmp_path / "users"
    users.write_text('"ytempire" ""\n')
    for pattern, here in {
        "port=5432": f"port={postgres_port}",
        "dbname=ytempire": f"dbname={database_url.rpartition('/')[2]}",
        "listen_port = .*": f"listen_port = {port}",
        "auth_type = .*": "auth_type = trust",
        "auth_file = .*": f"auth_file = {users}",
        "logfile = .*": "unix_socket_dir =",
        "pidfile = .*": f"user = {'nobody' if os.geteuid() == 0 else ''}",
        "default_pool_size = .*": "default_pool_size = 3",
        "min_pool_size = .*": "server_round_robin = 1",
        "reserve_pool_size = .*": "",
    }.items():
        text, times = re.subn(pattern, here, text)
        assert times, pattern
    path = tmp_path / "pgbouncer.ini"
    path.write_text(text)
    if os.geteuid() == 0:  # it gives up its rights and reads its files after that
        for folder in (tmp_path, *tmp_path.parents[: len(tmp_path.parents) - 2]):
            folder.chmod(0o755)
    bouncer = Program(name="pgbouncer", argv=(_pgbouncer() or "", str(path)), environ={}, answers=partial(_takes, port))
    with running(bouncer, tmp_path / "log"):
        yield port


async def _takes(port: int) -> bool:
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False


@needs_pgbouncer
async def test_many_processes_share_few_connections_and_keep_their_names_and_rights(
    bouncer_port: int, database_url: str
) -> None:
    name = database_url.rpartition("/")[2]
    servers = Servers(database_direct_url=database_url)
    pools = [Postgres(postgres.url(bouncer_port, "ytempire"), servers, process=f"p{number}") for number in range(6)]
    told = (
        "SELECT current_user::text, current_setting('timezone'), current_setting('application_name'), $1::jsonb::text"
    )

    async def asked(number: int, pool: Postgres) -> tuple[bool, ...]:
        expected = ("ytempire_app", "UTC", f"ytempire p{number} {RELEASE}", '{"a": 1}')
        at_once = await pool.call(told, {"a": 1})
        together = await pool.run(lambda connection: connection.fetchrow(told, {"a": 1}))
        return tuple(at_once) == expected, tuple(together or ()) == expected

    for pool in pools:
        await pool.open()
    answers = await asyncio.gather(*(asked(number, pool) for number, pool in enumerate(pools) for _ in range(20)))
    server = await asyncpg.connect(postgres.url(bouncer_port, "ytempire"))
    used = await server.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", name)
    await server.close()
    for pool in pools:
        await pool.close()
    assert set(answers) == {(True, True)}
    assert used <= 3


async def test_a_connection_without_the_role_that_it_asked_for_is_refused(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As through a pgbouncer that ignores it, without our connect_query."""
    monkeypatch.setattr("schema.record.postgres._ASKED", {})
    record = Postgres(database_url, Servers(), process="test")
    with pytest.raises(ConfigurationError, match="has the rights of 'ytempire'"):
        await record.open()


@pytest.fixture
def plain_owner_url(postgres_port: int, sql: Callable[[str], None], migrated_template: str) -> str:
    """A database whose owner is no superuser, as docs/deploy.md makes it; the template has made ytempire_app."""
    del migrated_template
    sql("CREATE ROLE plain_owner LOGIN CREATEROLE")
    sql("GRANT ytempire_app TO plain_owner")
    sql("CREATE DATABASE plain_owner OWNER plain_owner")
    return f"postgresql://plain_owner@127.0.0.1:{postgres_port}/plain_owner"


async def test_an_owner_who_is_no_superuser_is_enough(plain_owner_url: str) -> None:
    record = Postgres(plain_owner_url, Servers(), process="test")
    await record.open()
    assert (await record.call("SELECT current_user::text AS role"))["role"] == "ytempire_app"
    await record.close()
