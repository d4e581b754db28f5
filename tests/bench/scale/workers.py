"""How fast so many processes of one stage work: each does one piece at a time, and a piece is a wait of 100 ms."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import asyncpg
import msgspec
from redis.typing import EncodableT

from schema import flow
from schema.documents import Brief
from schema.events import fact as facts
from schema.record.admission import Admitted, Queue
from schema.record.migrations import migrate
from schema.record.postgres import Postgres
from schema.settings.servers import Servers as Settings
from tests.bench.halt.lab import Say, Servers
from tests.bench.scale.staff import COUNTED, Record, staff
from tests.bench.waiting import wait

_STAGE_S, _PIECES_EACH, _LOOK_S, _PATIENCE_S = 0.1, 60, 0.1, 120.0
_FILL = """
INSERT INTO video_queue (id, key, topic, brief, status)
SELECT 'q' || n, 'q' || n, 'Queued ' || n, $2::jsonb, 'queued' FROM generate_series(1, $1) AS n"""
_DONE = "SELECT count(*) FROM video_stages WHERE stage = 'script' AND status = 'done'"
_TOOK = """
SELECT extract(epoch FROM max(ended_at) - min(started_at))::double precision
  FROM stage_attempts WHERE stage = 'script'"""
_ENVIRON: Final = {"STUB_STAGE_S": str(_STAGE_S), "STUB_THREADS": "1"}


class Team(msgspec.Struct, frozen=True):
    """What so many processes did."""

    processes: int
    pieces: int
    took_s: float
    cpu_s: float
    memory_mb: float

    @property
    def rate(self) -> float:
        """Pieces a second."""
        return self.pieces / self.took_s

    @property
    def cpu_ms(self) -> float:
        """CPU of everything for a piece."""
        return 1000 * self.cpu_s / self.pieces


def measure(processes: int, say: Say) -> Team:
    """Servers and processes of their own, for one such number."""
    with (
        TemporaryDirectory(prefix="ytempire-bench-") as folder,
        Servers(Path(folder), postgres_options=COUNTED) as servers,
    ):
        say(f"{processes} processes")
        with asyncio.Runner() as runner:
            return _measure(servers, runner, processes)


async def _fill(servers: Servers, pieces: int) -> tuple[Record, tuple[Admitted, ...]]:
    """So many admitted videos, whose facts nobody has published."""
    await migrate(servers.database_url)
    record = await asyncpg.connect(servers.database_url)
    await record.execute(_FILL, pieces, msgspec.json.encode(Brief("Queued", length_s=30.0)).decode())
    postgres = Postgres(servers.database_url, Settings(db_pool_max=1), process="bench")
    await postgres.open()
    admitted = await Queue(postgres).admit(most=pieces, age_per_priority_s=600)
    await postgres.close()
    await record.execute("VACUUM ANALYZE")
    return record, admitted


def _measure(servers: Servers, runner: asyncio.Runner, processes: int) -> Team:
    pieces = processes * _PIECES_EACH
    record, admitted = runner.run(_fill(servers, pieces))
    with staff(servers, ("script",) * processes, _ENVIRON) as people:
        before = runner.run(people.used(record))
        _publish(servers, admitted)
        left_s = _PATIENCE_S
        while runner.run(record.fetchval(_DONE)) < pieces:
            wait(_LOOK_S)
            left_s -= _LOOK_S
            if left_s < 0:
                raise RuntimeError(f"{processes} processes did not do {pieces} pieces within {_PATIENCE_S:g} s")
        used = runner.run(people.used(record)).since(before)
        took_s = float(runner.run(record.fetchval(_TOOK)))
        memory_mb = sum(people.memory_mb().values()) / processes
    runner.run(record.close())
    return Team(processes, pieces, took_s, used.whole_s, memory_mb)


def _publish(servers: Servers, admitted: tuple[Admitted, ...]) -> None:
    pipeline = servers.client.pipeline(transaction=False)
    for video in admitted:
        fact = facts.admission(video.video, at=datetime.now(UTC), traceparent="", number=video.admissions)
        pipeline.xadd(flow.ADMITTED_STREAM, dict[EncodableT, EncodableT](facts.to_fields(fact).items()))
    pipeline.execute()
