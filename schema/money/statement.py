"""Who spent what: read by guardians, gateway and command line, and by nobody to decide a call.

Totals of a video and of a day are counters and cost the same however much was spent; the lists read the rows they
show. All of it is as the record has it now: a call under way counts with the most that it can cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from schema.money.calls import State
from schema.record.postgres import Connection, Postgres

Column = Literal["video", "stage", "service", "model", "attempt", "day"]
_SQL: dict[Column, str] = {
    "video": "video_id",
    "stage": "stage",
    "service": "service",
    "model": "model",
    "attempt": "attempt::text",
    "day": "day::text",
}
_TODAY = "(now() AT TIME ZONE 'UTC')::date"


class Total(msgspec.Struct, frozen=True):
    """Of a video or a day."""

    #: Set aside for calls that are asked for or under way.
    reserved_usd: Decimal
    #: Settled and unknown.
    spent_usd: Decimal

    @property
    def counted_usd(self) -> Decimal:
        """What a budget sees."""
        return self.reserved_usd + self.spent_usd


class Line(msgspec.Struct, frozen=True):
    """One line of a bill, by the columns that were asked for."""

    by: tuple[str, ...]
    calls: int
    settled_usd: Decimal
    unknown_usd: Decimal
    reserved_usd: Decimal
    #: Calls that were billed nothing.
    released: int
    #: Calls that bought again what may have been billed before.
    second_purchases: int


class Call(msgspec.Struct, frozen=True):
    """One call, as the ledger has it."""

    id: UUID
    video: str
    stage: str
    attempt: int
    service: str
    model: str
    state: State
    amount_usd: Decimal
    billed_usd: Decimal | None
    second_purchase: bool
    why: str
    reserved_at: datetime


class Contradiction(msgspec.Struct, frozen=True):
    """A counter that does not equal its rows."""

    counter: str
    name: str
    counted_reserved_usd: Decimal
    rows_reserved_usd: Decimal
    counted_spent_usd: Decimal
    rows_spent_usd: Decimal


class Statement:
    """Reads the ledger's tables."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def today(self) -> Total:
        """The day that it is by UTC."""
        return await self._total(f"SELECT reserved, spent FROM money.days WHERE day = {_TODAY}")

    async def of_day(self, day: date) -> Total:
        """One day."""
        return await self._total("SELECT reserved, spent FROM money.days WHERE day = $1", day)

    async def of_video(self, video: str) -> Total:
        """One video, since it was accepted."""
        return await self._total("SELECT reserved, spent FROM money.videos WHERE video_id = $1", video)

    async def last_hour_usd(self) -> Decimal:
        """Settled and unknown money that was reserved in the last 60 minutes."""
        return await self.last_usd(3600.0)

    async def last_usd(self, window_s: float) -> Decimal:
        """The same of the last `window_s` seconds."""
        row = await self._postgres.call(
            """SELECT coalesce(sum(amount), 0) AS usd FROM pipeline_costs
                WHERE "timestamp" > now() - make_interval(secs => $1)""",
            window_s,
        )
        found: Decimal = row["usd"]
        return found

    async def in_hand(self, *, most: int = 1_000) -> list[tuple[str, Total]]:
        """The videos that are queued or processed and have cost something, the dearest first."""

        async def work(connection: Connection) -> list[tuple[str, Total]]:
            rows = await connection.fetch(
                """SELECT v.id, m.reserved, m.spent FROM video_queue AS v JOIN money.videos AS m ON m.video_id = v.id
                    WHERE v.status IN ('queued', 'processing') AND m.reserved + m.spent > 0
                    ORDER BY m.spent DESC, v.id LIMIT $1""",
                most,
            )
            return [(row["id"], Total(row["reserved"], row["spent"])) for row in rows]

        return await self._postgres.run(work)

    async def lines(
        self, by: Iterable[Column] = ("day", "service"), *, since: date | None = None, video: str | None = None
    ) -> list[Line]:
        """The bill by these columns, of days from `since` on (default: today), or of one video and all days."""
        columns = ", ".join(_SQL[column] for column in by)
        where = "video_id = $1" if video is not None else f"day >= coalesce($1::date, {_TODAY})"

        async def work(connection: Connection) -> list[Line]:
            rows = await connection.fetch(
                f"""SELECT ARRAY[{columns}]::text[] AS by, count(*) AS calls,
                          coalesce(sum(billed), 0) AS settled,
                          coalesce(sum(amount) FILTER (WHERE state = 'unknown'), 0) AS unknown,
                          coalesce(sum(amount) FILTER (WHERE state IN ('reserved', 'sent')), 0) AS reserved,
                          count(*) FILTER (WHERE state = 'released') AS released,
                          count(*) FILTER (WHERE second_purchase) AS second
                     FROM money.reservations WHERE {where} GROUP BY {columns} ORDER BY {columns}""",
                video if video is not None else since,
            )
            return [
                Line(
                    tuple(row["by"]),
                    row["calls"],
                    row["settled"],
                    row["unknown"],
                    row["reserved"],
                    row["released"],
                    row["second"],
                )
                for row in rows
            ]

        return await self._postgres.run(work)

    async def unknowns(self, *, most: int = 1_000) -> list[Call]:
        """Calls whose outcome nobody knows, the latest first."""
        return await self._calls("WHERE state = 'unknown' ORDER BY reserved_at DESC LIMIT $1", most)

    async def calls(self, video: str) -> list[Call]:
        """Every call of a video, in order."""
        return await self._calls("WHERE video_id = $1 ORDER BY reserved_at, id", video)

    async def contradictions(self) -> list[Contradiction]:
        """Counters that do not equal their rows, read all at one instant; reads every row there is."""

        async def work(connection: Connection) -> list[Contradiction]:
            rows = await connection.fetch("SELECT * FROM money.contradictions ORDER BY counter, name LIMIT 100")
            return [Contradiction(*row.values()) for row in rows]

        return await self._postgres.run(work)

    async def _total(self, query: str, *arguments: object) -> Total:
        async def work(connection: Connection) -> Total:
            row = await connection.fetchrow(query, *arguments)
            return Total(row["reserved"], row["spent"]) if row else Total(Decimal(0), Decimal(0))

        return await self._postgres.run(work)

    async def _calls(self, rest: str, *arguments: object) -> list[Call]:
        async def work(connection: Connection) -> list[Call]:
            rows = await connection.fetch(f"SELECT * FROM money.reservations {rest}", *arguments)
            return [_call(row) for row in rows]

        return await self._postgres.run(work)


def _call(row: asyncpg.Record) -> Call:
    return Call(
        id=row["id"],
        video=row["video_id"],
        stage=row["stage"],
        attempt=row["attempt"],
        service=row["service"],
        model=row["model"],
        state=row["state"],
        amount_usd=row["amount"],
        billed_usd=row["billed"],
        second_purchase=row["second_purchase"],
        why=row["why"],
        reserved_at=row["reserved_at"],
    )
