"""No reservation becomes `sent` once a halt is committed: halts at moments of chance against processes that buy.

The record's own rows decide: Postgres notes when each transaction was committed (`track_commit_timestamp`), and writes
`sent_at` by the same clock, so no clock of ours takes part. A reservation is open when a halt is committed, if it was
made before and neither sent nor ended by then. The fakes' ledger tells which calls came, by the reservation's id.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from deploy.launch import privileges
from deploy.launch.plan import ROOT
from schema.events.command import Command
from schema.record.commands import Commands
from schema.record.migrations import migrate
from schema.record.postgres import Postgres
from schema.settings.servers import Servers as Settings
from tests.bench.halt.buyer import STAGE, VIDEO
from tests.bench.halt.lab import Say, Servers, dice
from tests.bench.waiting import wait
from tests.fakes.running import Fakes
from tests.fakes.running import running as fakes_running

#: Asked of the Postgres of this trial.
OPTIONS: Final = ("-c", "track_commit_timestamp=on")
_BUYERS, _LOOPS = 3, 8
_SHORTEST_S, _LONGEST_S = 0.004, 0.03
_NO_LIMIT: Final = "100000000"

_RUNS = """
WITH video AS (INSERT INTO video_queue (id, key, topic, brief, status) VALUES ($1, $1, 't', '{}', 'processing'))
INSERT INTO video_stages (video_id, stage, attempt, status) VALUES ($1, $2, 1, 'running')"""

_NOTE = """
INSERT INTO bench_halts SELECT pg_xact_commit_timestamp(xmin), NULL FROM holds WHERE command = $1"""

_SENT = """
SELECT id::text, EXISTS (SELECT 1 FROM bench_halts WHERE sent_at > committed AND sent_at < lifting) AS halted
  FROM money.reservations WHERE sent_at IS NOT NULL"""

_MET_OPEN = """
SELECT count(*) FROM bench_halts AS h WHERE EXISTS (
    SELECT 1 FROM money.reservations AS r WHERE r.reserved_at < h.committed
       AND (r.sent_at IS NULL OR r.sent_at > h.committed) AND (r.ended_at IS NULL OR r.ended_at > h.committed))"""


class Paid(msgspec.Struct, frozen=True):
    """What became of money while it was halted."""

    halts: int
    #: Halts that met a reservation which was neither sent nor ended.
    met_open: int
    #: Reservations sent between a halt's commit and the resume.
    sent_halted: int
    #: Calls that a provider saw and no reservation was marked sent for, or one that was sent during a halt.
    calls_unpermitted: int
    calls: int


def paying(servers: Servers, halts: int, say: Say) -> Paid:
    """Halt so often, against processes that never stop buying."""
    folder = servers.folder / "paying"
    folder.mkdir()
    asyncio.run(_prepare(servers.database_url))
    with fakes_running(folder) as fakes:
        with _buyers(servers, fakes, folder):
            asyncio.run(_halts(servers.database_url, halts, say))
        return asyncio.run(_judge(servers.database_url, fakes, halts))


async def _prepare(database_url: str) -> None:
    await migrate(database_url)
    owner = await asyncpg.connect(database_url)
    await owner.execute("CREATE TABLE bench_halts (committed timestamptz, lifting timestamptz)")
    for number in range(_BUYERS):
        await owner.execute(_RUNS, VIDEO.format(number), STAGE)
    await owner.close()


@contextmanager
def _buyers(servers: Servers, fakes: Fakes, folder: Path) -> Iterator[None]:
    environ = {
        **servers.environ(),
        **fakes.environ(),
        "PYTHONPATH": str(ROOT),
        "YTEMPIRE_DATA_DIR": str(folder / "data"),
        "YTEMPIRE_VIDEO_BUDGET_USD": _NO_LIMIT,
        "YTEMPIRE_DAY_BUDGET_USD": _NO_LIMIT,
    }
    parent_pid = os.getpid()
    started = []
    with (folder / "buyers.log").open("ab") as log:
        for number in range(_BUYERS):
            command = ("-m", "tests.bench.halt.buyer", str(folder), VIDEO.format(number), str(_LOOPS))
            started.append(
                subprocess.Popen(
                    (sys.executable, *command),
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    preexec_fn=lambda: privileges.die_with_parent(signal.SIGKILL, parent_pid),  # noqa: PLW1509 - a system call
                )
            )
    try:
        yield
        if ended := [process.returncode for process in started if process.poll() is not None]:
            raise RuntimeError(f"buyers ended with {ended}; see {folder}/buyers.log")
    finally:
        for process in started:
            process.kill()
            process.wait()


async def _halts(database_url: str, halts: int, say: Say) -> None:
    postgres = Postgres(database_url, Settings(db_pool_max=1), process="bench")
    await postgres.open()
    commands, owner = Commands(postgres), await asyncpg.connect(database_url)
    while not await owner.fetchval("SELECT count(DISTINCT video_id) = $1 FROM money.reservations", _BUYERS):
        wait(0.1)
    for number in range(halts):
        if number and number % 250 == 0:
            say(f"  {number} halts")
        wait(dice.uniform(_SHORTEST_S, _LONGEST_S))
        token = uuid.uuid4().hex
        await commands.apply(Command(verb="halt", id=token))
        await owner.execute(_NOTE, token)
        wait(dice.uniform(_SHORTEST_S, _LONGEST_S) / 2)
        await owner.execute("UPDATE bench_halts SET lifting = clock_timestamp() WHERE lifting IS NULL")
        await commands.apply(Command(verb="resume", id=uuid.uuid4().hex))
    await owner.close()
    await postgres.close()


async def _judge(database_url: str, fakes: Fakes, halts: int) -> Paid:
    owner = await asyncpg.connect(database_url)
    noted, met_open = await owner.fetchval("SELECT count(*) FROM bench_halts"), await owner.fetchval(_MET_OPEN)
    sent = await owner.fetch(_SENT)
    await owner.close()
    if noted != halts:
        raise RuntimeError(f"{noted} of {halts} halts were found in the record")
    permitted, lines = {row["id"] for row in sent if not row["halted"]}, fakes.lines()
    return Paid(
        halts,
        met_open,
        sent_halted=sum(row["halted"] for row in sent),
        calls_unpermitted=sum(line.reservation not in permitted for line in lines),
        calls=len(lines),
    )
