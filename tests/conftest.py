"""Real servers for the tests: an embedded Valkey, an embedded Postgres and fakes of all providers, once a session.

Each test gets an empty Valkey, a database of its own, and fakes without orders. Servers listen on free ports; they end
and their files go with the session, also after Ctrl-C or a kill: the kernel tells them when we die.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TypeAlias

import asyncpg
import certifi
import msgspec
import pytest
import structlog

from deploy.launch import postgres, probes, valkey
from deploy.launch.ports import free_ports
from deploy.launch.program import running
from tests.fakes import running as running_fakes
from tests.fakes import s3
from tests.fakes.running import Fakes

_database_numbers = itertools.count(1)
_PREFIX = "ytempire-tests-"
#: A file system in memory, as Linux has it: a database is 300 files, made and removed for each test.
_MEMORY = "/dev/shm"  # noqa: S108 - a folder with a random name is made in it
#: Some times of what the servers of all test processes need there.
_ROOM_BYTES = 2 * 1024**3
#: Takes a statement to the session's Postgres.
Sql: TypeAlias = Callable[[str], None]
#: With it a test comes to a Valkey as the factory's processes do; without, as a person.
ACTOR_PASSWORD = "of-this-session"  # noqa: S105 - it opens nothing but a test's own server
#: Who may have a server of the tests fail over, which ours let nobody do.
SURGEON = "surgeon"


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One test process runs all slow tests of a file: what they share, mostly a factory, is started once."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(Path(__file__).parent))))


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A test that leaves logs set up otherwise is told here: after it, others of its process would hear nothing."""
    before = structlog.get_config()
    yield
    assert structlog.get_config() == before, "this test has left the logs set up otherwise"


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """Where the session's servers keep their data: in memory where there is room; gone with the session.

    A session that was killed leaves its folder to the next one, which knows by the lock that nobody holds it.
    """
    roomy = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    place = Path(_MEMORY if roomy else gettempdir())
    for held in place.glob(f"{_PREFIX}*/held"):
        with contextlib.suppress(OSError), held.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(held.parent)
    with TemporaryDirectory(prefix=_PREFIX, dir=place) as name:
        folder = Path(name)
        with (folder / "part").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / "part").rename(folder / "held")  # never seen without its lock
            yield folder


@pytest.fixture(scope="session")
def valkey_port(servers_dir: Path) -> Iterator[int]:
    """The session's Valkey."""
    port = free_ports()
    server = valkey.valkey(servers_dir / "valkey", port, actor_password=ACTOR_PASSWORD)

    def prepare() -> None:
        server.prepare()
        with (servers_dir / "valkey/users.acl").open("a") as users:
            users.write(f"user {SURGEON} on nopass +replicaof\n")

    with running(msgspec.structs.replace(server, prepare=prepare), servers_dir / "valkey.log"):
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


@pytest.fixture(scope="session")
def sql(postgres_port: int) -> Iterator[Sql]:
    """Somebody who owns the session's Postgres and stays connected: to connect took longer than what is said."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as here:
        connection = here.run(asyncpg.connect(postgres.url(postgres_port, "postgres")))

        def execute(statement: str) -> None:
            here.run(connection.execute(statement, timeout=60))

        yield execute
        here.run(connection.close())


@pytest.fixture
def empty_database_url(postgres_port: int, sql: Sql) -> Iterator[str]:
    """A fresh database with nothing in it, owned by the role ytempire."""
    yield from _database(postgres_port, sql, template="template0")


@pytest.fixture(scope="session")
def migrated_template(postgres_port: int, sql: Sql) -> str:
    """The name of a database with the migrations applied, to copy from."""
    from schema.record.migrations import migrate  # noqa: PLC0415 - only tests that use the record need it

    sql("CREATE DATABASE migrated")
    asyncio.run(migrate(postgres.url(postgres_port, "migrated")))
    return "migrated"


@pytest.fixture
def database_url(postgres_port: int, sql: Sql, migrated_template: str) -> Iterator[str]:
    """A fresh database with the migrations applied."""
    yield from _database(postgres_port, sql, template=migrated_template)


def _database(port: int, sql: Sql, template: str) -> Iterator[str]:
    name = f"test_{next(_database_numbers)}"
    # as files, so that what Postgres worked out when somebody first came to the template is copied, too
    sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield postgres.url(port, name)
    sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def fakes_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fakes]:
    """The session's fakes of all providers."""
    with running_fakes.running(tmp_path_factory.mktemp("fakes")) as fakes:
        yield fakes


@pytest.fixture(scope="session")
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one authority instead of all: the fakes speak plain HTTP, but each client reads it for each call."""
    end = "-----END CERTIFICATE-----\n"
    path = tmp_path_factory.mktemp("trusted") / "one.pem"
    path.write_text(certifi.contents().partition(end)[0] + end, encoding="utf-8")
    return path


@pytest.fixture
def fakes(fakes_process: Fakes, one_certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """Fakes that behave until they are told otherwise, and an empty view of their ledger."""
    monkeypatch.setenv("SSL_CERT_FILE", str(one_certificate))
    fakes_process.forget()
    return fakes_process


@pytest.fixture(scope="session")
def s3_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Store]:
    """The session's store that speaks S3."""
    with s3.running(tmp_path_factory.mktemp("s3")) as store:
        yield store
