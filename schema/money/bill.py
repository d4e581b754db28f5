"""The bill of one day (UTC): what each service cost, when, and which videos were the dearest.

Settled and unknown money, by the hour in which it was reserved, as `pipeline_costs` has it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from schema.record.postgres import Connection, Postgres

_SERVICES: Final = """
SELECT service, count(*) AS payments, sum(amount) AS usd FROM pipeline_costs
 WHERE "timestamp" >= $1 AND "timestamp" < $2 GROUP BY service ORDER BY usd DESC, service"""

_HOURS: Final = """
SELECT extract(hour FROM "timestamp" AT TIME ZONE 'UTC')::integer AS hour, sum(amount) AS usd FROM pipeline_costs
 WHERE "timestamp" >= $1 AND "timestamp" < $2 GROUP BY hour"""

_DEAREST: Final = """
SELECT c.video_id AS video, coalesce(v.topic, '') AS topic, sum(c.amount) AS usd
  FROM pipeline_costs AS c LEFT JOIN video_queue AS v ON v.id = c.video_id
 WHERE c."timestamp" >= $1 AND c."timestamp" < $2 GROUP BY c.video_id, v.topic ORDER BY usd DESC, video LIMIT $3"""

_UNKNOWN: Final = "SELECT coalesce(sum(amount), 0) AS usd FROM money.reservations WHERE state = 'unknown' AND day = $1"

_SPENT: Final = "SELECT day, spent FROM money.days WHERE day > $1::date - $2::integer AND day <= $1"


class Service(msgspec.Struct, frozen=True):
    """What a service was paid."""

    service: str
    payments: int
    usd: Decimal


class Dear(msgspec.Struct, frozen=True):
    """A video and what it cost that day."""

    video: str
    topic: str
    usd: Decimal


class Bill(msgspec.Struct, frozen=True):
    """One day."""

    services: tuple[Service, ...]
    #: Dollars by hour, 24 of them.
    hours: tuple[Decimal, ...]
    dearest: tuple[Dear, ...]
    #: Of it: sent, and nobody knows whether it was billed.
    unknown_usd: Decimal


class Bills:
    """Reads bills."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def of_day(self, day: date, *, most: int = 5) -> Bill:
        """The bill of a day, with its `most` expensive videos."""
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        end = start + timedelta(days=1)

        async def work(connection: Connection) -> Bill:
            hours = {row["hour"]: row["usd"] for row in await connection.fetch(_HOURS, start, end)}
            return Bill(
                tuple([Service(**dict(row)) for row in await connection.fetch(_SERVICES, start, end)]),
                tuple(hours.get(hour, Decimal(0)) for hour in range(24)),
                tuple([Dear(**dict(row)) for row in await connection.fetch(_DEAREST, start, end, most)]),
                await connection.fetchval(_UNKNOWN, day),
            )

        return await self._postgres.run(work)

    async def spent(self, last: date, days: int) -> dict[date, Decimal]:
        """What each of the `days` days up to `last` cost; a day without spending is not in it."""

        async def work(connection: Connection) -> dict[date, Decimal]:
            return {row["day"]: row["spent"] for row in await connection.fetch(_SPENT, last, days)}

        return await self._postgres.run(work)
