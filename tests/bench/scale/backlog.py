"""What a video costs beside few and beside very many that wait: one comes in for each that ends, so that they stay.

Measured after a warm-up: CPU and statements for each video that ends, then, with the stages gone and all places taken,
what a turn of dispatch and a tick of each guardian cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import asyncpg
import msgspec

from schema import flow
from schema.documents import Brief
from schema.record.migrations import migrate
from streams import names
from tests.bench.halt.lab import Say, Servers
from tests.bench.scale.staff import ACTORS, COUNTED, GUARDIANS, STAGES, Record, Staff, Used, staff
from tests.bench.waiting import wait

_IN_HAND, _WARM_UP, _LOOK_S, _PATIENCE_S = 16, 60, 0.02, 300.0
_TICK_S, _TURN_S, _WATCHED_S = 0.5, 1.0, 15.0
_FILL = """
INSERT INTO video_queue (id, key, priority, topic, brief, created_at)
SELECT 'w' || n, 'w' || n, n % 10, 'Waiting ' || n, $2::jsonb, now() - make_interval(secs => n % 3600)
  FROM generate_series(1, $1) AS n"""
#: What is asked for beside a topic, where no key is set.
_NOTES: Final = "A river bends because its outer bank wears away faster than its inner bank does. " * 3
_STATEMENTS = "SELECT sum(calls) FROM pg_stat_statements"
_ENVIRON: Final[Mapping[str, str]] = {
    "YTEMPIRE_MAX_CONCURRENT": str(_IN_HAND),
    "YTEMPIRE_GUARDIAN_TICK_S": str(_TICK_S),
    "STUB_STAGE_S": "0",
}


class Backlog(msgspec.Struct, frozen=True):
    """What was seen beside so many that wait."""

    waiting: int
    videos: int
    busy: Used
    statements: float
    idle: Used
    #: Resident, of each process: after the warm-up, and at the end.
    memory_before_mb: Mapping[str, float]
    memory_mb: Mapping[str, float]
    redis_mb: float

    @property
    def cpu_ms(self) -> float:
        """CPU of everything for each video."""
        return 1000 * self.busy.whole_s / self.videos

    @property
    def wall_ms(self) -> float:
        """Time between two ends."""
        return 1000 * self.busy.at_s / self.videos

    def tick_ms(self, guardian: str) -> float:
        """CPU of one tick, the server's part with it."""
        used_s = self.idle.own[guardian] + self.idle.asked.get(guardian, 0.0)
        return 1000 * used_s * _TICK_S / self.idle.at_s

    @property
    def turn_ms(self) -> float:
        """CPU of dispatch for each second in which nothing ends, the server's part with it."""
        return 1000 * (self.idle.own["dispatch"] + self.idle.asked.get("dispatch", 0.0)) * _TURN_S / self.idle.at_s


def measure(waiting: int, videos: int, say: Say) -> Backlog:
    """Servers and processes of their own, for one such number."""
    with (
        TemporaryDirectory(prefix="ytempire-bench-") as folder,
        Servers(Path(folder), postgres_options=COUNTED) as servers,
    ):
        say(f"{waiting:,} waiting")
        with asyncio.Runner() as runner:
            return _measure(servers, runner, waiting, videos)


async def _fill(servers: Servers, waiting: int) -> Record:
    await migrate(servers.database_url)
    record = await asyncpg.connect(servers.database_url)
    await record.execute("CREATE EXTENSION pg_stat_statements")
    await record.execute(_FILL, waiting, msgspec.json.encode(Brief("Waiting", length_s=30.0)).decode())
    await record.execute("VACUUM ANALYZE")
    await record.execute("CHECKPOINT")
    return record


def _measure(servers: Servers, runner: asyncio.Runner, waiting: int, videos: int) -> Backlog:
    record = runner.run(_fill(servers, waiting))
    with staff(servers, (*STAGES, *GUARDIANS, *ACTORS), _ENVIRON) as people:
        flowing = _Flow(servers)
        flowing.ask(_IN_HAND)
        flowing.until(_WARM_UP)
        runner.run(record.execute("SELECT pg_stat_statements_reset()"))
        memory_before_mb, before = people.memory_mb(), runner.run(people.used(record))
        flowing.until(_WARM_UP + videos)
        busy = runner.run(people.used(record)).since(before)
        statements = float(runner.run(record.fetchval(_STATEMENTS)))
        memory_mb, redis_mb = people.memory_mb(), people.redis_memory_mb()
        idle = _idle(people, runner, record)
    runner.run(record.close())
    return Backlog(waiting, videos, busy, statements / videos, idle, memory_before_mb, memory_mb, redis_mb)


def _idle(people: Staff, runner: asyncio.Runner, record: Record) -> Used:
    """Nobody works on what is in hand, and nothing ends."""
    for name in STAGES:
        people.end(name)
    wait(_TICK_S)
    before = runner.run(people.used(record))
    wait(_WATCHED_S)
    return runner.run(people.used(record)).since(before)


class _Flow:
    """One request for each end."""

    def __init__(self, servers: Servers) -> None:
        self._servers, self._asked = servers, 0
        self._before = int(servers.client.xlen(flow.LAST.stream))

    def ask(self, count: int) -> None:
        """So many more videos."""
        pipeline = self._servers.client.pipeline(transaction=False)
        for _ in range(count):
            self._asked += 1
            pipeline.xadd(names.INTAKE, {"topic": f"Why rivers bend, part {self._asked}", "notes": _NOTES})
        pipeline.execute()

    def until(self, ended: int) -> None:
        """Wait until so many have ended in all, asking for one more for each."""
        left_s = _PATIENCE_S
        while (now := int(self._servers.client.xlen(flow.LAST.stream)) - self._before) < ended:
            self.ask(max(0, _IN_HAND + now - self._asked))
            wait(_LOOK_S)
            left_s -= _LOOK_S
            if left_s < 0:
                raise RuntimeError(f"{now} of {ended} videos ended within {_PATIENCE_S:g} s: the logs say why")
