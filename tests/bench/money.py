"""What the ledger costs a call: CPU of reserve, sent and settle, beside few and beside very many rows of costs.

The two records are on one server and measured in turn. All the rows beside are of the very videos and the very day
that the calls are made for: a total that was summed and not counted would show at once.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import uuid4

import asyncpg
import msgspec

from deploy.launch import postgres as launch
from deploy.launch.ports import free_ports
from deploy.launch.program import running
from schema.money.calls import Ask, Ended, Reserved
from schema.money.ledger import Ledger, Sent
from schema.record.migrations import migrate
from schema.record.postgres import Postgres
from schema.settings.servers import Servers
from tests.bench.bus.cpu import family_cpu_s
from tests.bench.table import Goal, Row, lines, row
from tests.bench.waiting import wait

Say = Callable[[str], None]
_VIDEOS: Final = 10
_WARM_UP_CALLS: Final = 60
_NO_LIMIT_USD: Final = Decimal(10**9)
_MOST_MS: Final = Goal("<=", 5)
_MOST_GROWTH: Final = Goal("<=", 1.2)

_STAGES = """
WITH names AS (SELECT 'v' || n AS video FROM generate_series(0, $1 - 1) AS n),
videos AS (INSERT INTO video_queue (id, key, topic, brief, status)
           SELECT video, video, 't', '{}', 'processing' FROM names)
INSERT INTO video_stages (video_id, stage, attempt, status) SELECT video, 'script', 1, 'running' FROM names"""

_RESERVATIONS = """
INSERT INTO money.reservations (id, video_id, stage, attempt, service, model, price, units, amount, billed, day, policy,
                                state, sends, reserved_at, sent_at, ended_at)
SELECT gen_random_uuid(), 'v' || n % $2, 'script', 1, 'openai', 'gpt-5.4', 'output_tokens 15', '{"output_tokens": 9}',
       0.0001, 0.0001, (now() AT TIME ZONE 'UTC')::date, 'blind', 'settled', 1, now(), now(), now()
  FROM generate_series(1, $1) AS n"""

_COSTS = """
INSERT INTO pipeline_costs (video_id, stage, attempt, service, amount, "timestamp", reservation_id)
SELECT video_id, stage, attempt, service, billed, reserved_at, id FROM money.reservations"""

_COUNTERS = """
WITH videos AS (INSERT INTO money.videos (video_id, spent) SELECT video_id, sum(amount) FROM pipeline_costs GROUP BY 1)
INSERT INTO money.days (day, spent) SELECT day, sum(billed) FROM money.reservations GROUP BY 1"""


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    costs: int
    rounds: int
    calls: int


class Cost(msgspec.Struct, frozen=True):
    """Of one call, in milliseconds."""

    client_ms: float
    server_ms: float
    wall_ms: float

    @property
    def cpu_ms(self) -> float:
        """Of both sides."""
        return self.client_ms + self.server_ms


def measure(options: Money, say: Say) -> list[Row]:
    """Measures, says the table, and returns its rows."""
    with TemporaryDirectory(prefix="ytempire-bench-") as folder:
        port = free_ports()
        with running(launch.postgres(Path(folder) / "postgres", port), Path(folder) / "log") as server:
            few, many = asyncio.run(_measure(options, port, server.pid, say))
    found = _rows(few, many, options)
    for line in ("", *lines(found)):
        say(line)
    return found


async def _measure(options: Money, port: int, server: int, say: Say) -> tuple[Sequence[Cost], Sequence[Cost]]:
    records = {}
    for costs in (1, options.costs):
        name = f"beside_{costs}"
        say(f"a record with {costs:,} rows of costs")
        await _fill(port, name, costs)
        wait(0)
        records[costs] = Postgres(launch.url(port, name), Servers(db_pool_max=1), process="bench")
        await records[costs].open()
        await _calls(records[costs], _WARM_UP_CALLS)
    measured: dict[int, list[Cost]] = {costs: [] for costs in records}
    for number in range(1, options.rounds + 1):
        say(f"round {number}")
        for costs, record in records.items():
            wait(0)
            measured[costs].append(await _cost(record, options.calls, server))
    for record in records.values():
        await record.close()
    return measured[1], measured[options.costs]


async def _fill(port: int, name: str, costs: int) -> None:
    """A record with so many rows of costs, written to the disk and counted."""
    maker = await asyncpg.connect(launch.url(port))
    await maker.execute(f"CREATE DATABASE {name}")
    await maker.close()
    await migrate(launch.url(port, name))
    connection = await asyncpg.connect(launch.url(port, name))
    await connection.execute(_STAGES, _VIDEOS)
    await connection.execute(_RESERVATIONS, costs, _VIDEOS)
    await connection.execute(_COSTS)
    await connection.execute(_COUNTERS)
    # what the server does by itself after so many rows is done before anything is measured
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def _cost(record: Postgres, calls: int, server: int) -> Cost:
    server_s, client_s, began_s = family_cpu_s(server), time.process_time(), time.monotonic()
    await _calls(record, calls)
    wall_s, client_s = time.monotonic() - began_s, time.process_time() - client_s
    server_s = family_cpu_s(server) - server_s
    return Cost(*(1000 * seconds / calls for seconds in (client_s, server_s, wall_s)))


async def _calls(record: Postgres, count: int) -> None:
    ledger = Ledger(record, video_budget_usd=_NO_LIMIT_USD, day_budget_usd=_NO_LIMIT_USD)
    for number in range(count):
        ask = Ask(
            id=uuid4(),
            video=f"v{number % _VIDEOS}",
            stage="script",
            attempt=1,
            service="openai",
            model="gpt-5.4",
            price="output_tokens 15",
            units={"input_tokens": 900, "output_tokens": 2_000},
            amount_usd=Decimal("0.03225"),
            policy="blind",
        )
        steps = (
            await ledger.reserve(ask),
            await ledger.sent(ask.id, 1),
            await ledger.settle(ask.id, Decimal("0.021"), used={"input_tokens": 800, "output_tokens": 1_300}),
        )
        if not isinstance(steps[0], Reserved) or not isinstance(steps[1], Sent) or steps[2] != Ended("settled"):
            raise RuntimeError(f"the ledger answered {steps}")


def _rows(few: Sequence[Cost], many: Sequence[Cost], options: Money) -> list[Row]:
    name = "CPU of reserve + sent + settle, {} of costs"
    growth = [there.cpu_ms / here.cpu_ms for here, there in zip(few, many, strict=True)]
    return [
        row(name.format("1 row"), _median(few), "ms", _MOST_MS, note=_note(few)),
        row(name.format(f"{options.costs:,} rows"), _median(many), "ms", _MOST_MS, note=_note(many)),
        row(f"{options.costs:,} rows / 1 row", statistics.median(growth), "", _MOST_GROWTH, note=_spread(growth)),
    ]


def _median(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.cpu_ms for cost in costs)


def _note(costs: Sequence[Cost]) -> str:
    client, server, wall = (
        statistics.median(values)
        for values in zip(*((cost.client_ms, cost.server_ms, cost.wall_ms) for cost in costs), strict=True)
    )
    return f"client {client:.2f} ms, server {server:.2f} ms; {wall:.2f} ms of time, on a disk that is waited for"


def _spread(growth: Sequence[float]) -> str:
    return f"from {min(growth):.2f} to {max(growth):.2f} in {len(growth)} rounds"
