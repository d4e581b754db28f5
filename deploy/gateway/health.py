"""How the factory is, in the runbook's terms: its six components, its day in figures, its cards.

A component that is not installed is "not here", which is no fault; one that was installed and does not answer cannot
be told from it, so only what the factory cannot do without decides: Postgres, Redis, and this gateway itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final, Literal

import msgspec

from deploy.exporters import Card, Guardian, KeyFigure
from deploy.gateway.parts import Parts
from deploy.gateway.patience import BusAwayError, from_bus, soon
from deploy.launch.probes import ask
from schema.errors import RecordUnavailableError
from schema.money.statement import Total
from schema.record.figures import Day
from streams import names

State = Literal["ok", "down", "not here"]
_PATIENCE_S: Final = 1.0


class Component(msgspec.Struct, frozen=True):
    """A row of the runbook's table."""

    status: State
    port: int
    critical: bool
    why: str = ""


class Health(msgspec.Struct, frozen=True):
    """In one word, and each component."""

    status: Literal["ok", "down"]
    components: dict[str, Component]


class Detailed(msgspec.Struct, frozen=True):
    """All there is to know at a glance; `gate` None: Postgres does not answer."""

    status: Literal["ok", "down"]
    at: datetime
    components: dict[str, Component]
    gate: str | None
    queue: dict[str, int] | None
    processes: dict[str, bool]
    guardians: tuple[Guardian, ...]
    figures: tuple[KeyFigure, ...]
    consumes: bool


class DayFigures(msgspec.Struct, frozen=True):
    """A day (UTC) of the factory."""

    date: date
    accepted: int
    completed: int
    failed: int
    cancelled: int
    success_rate_percent: float | None
    average_processing_seconds: float | None
    cost_usd: Decimal
    reserved_usd: Decimal
    cost_per_video_usd: Decimal | None


class Daily(msgspec.Struct, frozen=True):
    """Yesterday and today so far."""

    yesterday: DayFigures
    today: DayFigures


class GpuStatus(msgspec.Struct, frozen=True):
    """The cards as the gpu guardian sees them; `why` where there is none to see."""

    cards: tuple[Card, ...]
    why: str = ""


async def health(parts: Parts) -> Health:
    """Whether everything the factory cannot do without answers."""
    servers = parts.settings.servers
    postgres, redis, *others = await asyncio.gather(
        _postgres(parts),
        _redis(parts),
        *(_listens(port) for port in (servers.prometheus_port, servers.grafana_port, servers.n8n_port)),
    )
    prometheus, grafana, n8n = others
    consumes = parts.live.consumes
    api: State = "ok" if consumes else "down"
    components = {
        "postgresql": Component(postgres, servers.postgres_port, critical=True),
        "redis": Component(redis, servers.redis_port, critical=True),
        "pipeline_api": Component(
            api, servers.gateway_port, critical=True, why="" if consumes else "it does not read the streams"
        ),
        "prometheus": Component(prometheus, servers.prometheus_port, critical=False),
        "grafana": Component(grafana, servers.grafana_port, critical=False),
        "n8n": Component(n8n, servers.n8n_port, critical=True),
    }
    down = any(part.status == "down" and part.critical for part in components.values())
    return Health("down" if down else "ok", components)


async def detailed(parts: Parts) -> Detailed:
    """The same, with gate, queue, processes, guardians and key figures."""
    found, heard = await asyncio.gather(health(parts), parts.exporters.hear())
    gate = queue = None
    with contextlib.suppress(RecordUnavailableError):  # its component says so
        gate, queue = (await soon(parts.gate.read())).state, await soon(parts.videos.counts())
    return Detailed(
        found.status,
        datetime.now(UTC),
        found.components,
        gate,
        queue,
        heard.processes,
        heard.guardians,
        heard.figures,
        parts.live.consumes,
    )


async def daily(parts: Parts) -> Daily:
    """Yesterday and today; raises RecordUnavailableError."""
    today = datetime.now(UTC).date()

    async def told(day: date) -> DayFigures:
        return _day(day, await soon(parts.figures.day(day)), await soon(parts.statement.of_day(day)))

    return Daily(await told(today - timedelta(days=1)), await told(today))


async def gpu(parts: Parts) -> GpuStatus:
    """The cards."""
    heard = await parts.exporters.hear()
    if heard.cards:
        return GpuStatus(heard.cards)
    return GpuStatus((), heard.why_no_card())


def _day(day: date, seen: Day, spent: Total) -> DayFigures:
    ended = seen.completed + seen.failed
    return DayFigures(
        date=day,
        accepted=seen.accepted,
        completed=seen.completed,
        failed=seen.failed,
        cancelled=seen.cancelled,
        success_rate_percent=round(100 * seen.completed / ended, 2) if ended else None,
        average_processing_seconds=seen.processing_s,
        cost_usd=spent.spent_usd,
        reserved_usd=spent.reserved_usd,
        cost_per_video_usd=round(spent.spent_usd / seen.completed, 4) if seen.completed else None,
    )


async def _postgres(parts: Parts) -> State:
    try:
        await soon(parts.process.postgres.call("SELECT 1 AS one"), _PATIENCE_S)
    except RecordUnavailableError:
        return "down"
    return "ok"


async def _redis(parts: Parts) -> State:
    newest = partial(parts.process.transport.last_generated_id, names.CONTROL, wait_s=_PATIENCE_S)
    try:
        await from_bus(newest, _PATIENCE_S)
    except BusAwayError:
        return "down"
    return "ok"


async def _listens(port: int) -> State:
    answer = await ask(port, b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", until=lambda text: b"\r\n" in text)
    return "ok" if answer.startswith(b"HTTP/") else "not here"
