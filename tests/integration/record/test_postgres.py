"""How the record rides out a server that goes away; the server here is the test's own, since it is stopped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from deploy.launch import postgres as launch
from deploy.launch.ports import free_ports
from deploy.launch.program import running
from schema.record.postgres import Connection, Postgres, storable
from schema.release import RELEASE
from schema.settings.servers import Servers
from tests.faults.proxy import Proxy
from tests.integration.processes import until

pytestmark = pytest.mark.xdist_group("a postgres of its own")

WITHIN_S = 20.0


class Server:
    """A Postgres that can be stopped and started again; one thread starts it, since it ends with whoever did."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port, self._running = folder, free_ports(), ExitStack()
        self.url = launch.url(self.port, "postgres")
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._thread.submit(self._start).result()

    def _start(self) -> None:
        program = launch.postgres(self._folder / "postgres", self.port)
        self._process = self._running.enter_context(running(program, self._folder / "log"))

    def _end(self, signum: signal.Signals) -> None:
        self._process.send_signal(signum)
        self._running.close()

    async def start(self) -> None:
        """Starts it, and waits until it answers."""
        await asyncio.wrap_future(self._thread.submit(self._start))

    async def end(self, signum: signal.Signals = signal.SIGKILL) -> None:
        """As a crash does, or as an operator does."""
        await asyncio.wrap_future(self._thread.submit(self._end, signum))

    def close(self) -> None:
        """For good."""
        self._thread.submit(self._running.close).result()
        self._thread.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    yield made
    made.close()


@pytest.fixture
async def postgres(server: Server) -> AsyncIterator[Postgres]:
    pool = Postgres(server.url, Servers(), process="test")
    await asyncio.wait_for(pool.open(), WITHIN_S)  # a test that failed may have left the server down
    yield pool
    await pool.close()


async def _one(connection: Connection) -> object:
    return await connection.fetchval("SELECT 1")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
async def test_work_that_meets_an_outage_is_done_when_the_server_is_back(
    server: Server, postgres: Postgres, end: signal.Signals
) -> None:
    assert await postgres.run(_one) == 1
    assert postgres.steady_for_s() == float("inf")
    with capture_logs() as logs:
        await server.end(end)
        waiting = [asyncio.create_task(postgres.run(_one)) for _ in range(6)]
        await until(lambda: bool(logs))  # the first to find out says so
        assert not any(task.done() for task in waiting)
        await server.start()
        assert await asyncio.wait_for(asyncio.gather(*waiting), WITHIN_S) == [1] * 6
    assert {log["event"] for log in logs} == {"postgres.away", "postgres.back"}
    assert postgres.steady_for_s() < WITHIN_S


async def test_a_transaction_that_is_cut_off_is_repeated_from_its_start(server: Server, postgres: Postgres) -> None:
    tries = 0

    async def work(connection: Connection) -> object:
        nonlocal tries
        tries += 1
        if tries == 1:
            await server.end()
            await server.start()
            return await connection.fetchval("SELECT 1")
        return await connection.fetchval("SELECT 2")

    assert await asyncio.wait_for(postgres.run(work), WITHIN_S) == 2
    assert tries == 2


async def test_a_connection_that_an_administrator_ended_is_replaced(server: Server, postgres: Postgres) -> None:
    pid = await postgres.run(lambda connection: connection.fetchval("SELECT pg_backend_pid()"))
    admin = await asyncpg.connect(server.url)
    await admin.execute("SELECT pg_terminate_backend($1)", pid)
    await admin.close()
    assert await asyncio.wait_for(postgres.run(_one), WITHIN_S) == 1


async def _lock(connection: Connection) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock(1)")


@pytest.mark.slow
async def test_who_is_gone_without_a_word_in_mid_transaction_locks_nothing_for_longer_than_a_lease(
    server: Server, postgres: Postgres
) -> None:
    locked, tries = asyncio.Event(), 0
    wire = Proxy(server.port)

    async def work(connection: Connection) -> object:
        nonlocal tries
        tries += 1
        await _lock(connection)
        if tries == 1:
            wire.loses()
            locked.set()
        return await _one(connection)

    gone = Postgres(launch.url(wire.port, "postgres"), Servers(lease_s=1.0), process="gone")
    try:
        await gone.open()
        waiting = asyncio.create_task(gone.run(work))
        await locked.wait()
        await asyncio.wait_for(postgres.run(_lock), WITHIN_S)
        wire.passes()
        assert await asyncio.wait_for(waiting, WITHIN_S) == 1
        assert tries == 2
    finally:
        await gone.close()
        wire.close()


@pytest.mark.slow
async def test_who_stood_still_in_mid_transaction_until_its_session_was_ended_begins_again(
    server: Server, postgres: Postgres
) -> None:
    tries = 0

    async def work(connection: Connection) -> object:
        nonlocal tries
        tries += 1
        await _lock(connection)
        if tries == 1:
            await asyncio.wait_for(postgres.run(_lock), WITHIN_S)  # others have what it held
        return await _one(connection)

    slow = Postgres(server.url, Servers(lease_s=1.0), process="slow")
    await slow.open()
    assert await asyncio.wait_for(slow.run(work), WITHIN_S) == 1
    assert tries == 2
    await slow.close()


async def test_a_lock_that_went_round_in_a_circle_is_tried_again_in_silence(postgres: Postgres) -> None:
    tries = 0

    async def work(connection: Connection) -> object:
        nonlocal tries
        tries += 1
        if tries == 1:
            await connection.execute("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40P01'; END $$")
        return await _one(connection)

    with capture_logs() as logs:
        assert await postgres.run(work) == 1
    assert tries == 2
    assert logs == []


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELEC 1", asyncpg.PostgresSyntaxError),
        ("SELECT * FROM nowhere", asyncpg.UndefinedTableError),
        ("SELECT 1 / 0", asyncpg.DivisionByZeroError),
    ],
)
async def test_a_statement_that_is_wrong_is_raised_at_once(
    postgres: Postgres, sql: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await asyncio.wait_for(postgres.run(lambda connection: connection.fetchval(sql)), WITHIN_S)


async def test_a_call_that_asyncpg_refuses_is_raised_at_once(postgres: Postgres) -> None:
    async def twice_at_once(connection: Connection) -> None:
        await asyncio.gather(connection.fetchval("SELECT pg_sleep(0.05)"), connection.fetchval("SELECT 1"))

    with pytest.raises(asyncpg.InterfaceError, match="another operation is in progress"):
        await asyncio.wait_for(postgres.run(twice_at_once), WITHIN_S)


async def test_a_pool_that_was_closed_is_not_waited_for(server: Server) -> None:
    pool = Postgres(server.url, Servers(), process="test")
    await pool.open()
    await pool.close()
    with pytest.raises(asyncpg.InterfaceError, match="pool is closed"):
        await asyncio.wait_for(pool.run(_one), 2)


async def test_processes_work_as_the_lesser_role_in_utc_and_under_their_name(postgres: Postgres) -> None:
    sql = "SELECT concat_ws('|', current_user, current_setting('timezone'), current_setting('application_name'))"
    assert (
        await postgres.run(lambda connection: connection.fetchval(sql)) == f"ytempire_app|UTC|ytempire test {RELEASE}"
    )


def test_what_postgres_keeps_in_no_text_is_made_readable() -> None:
    assert storable("a\x00b \udcff é") == "a\\0b ? é"
