"""What commands have to say to the streams: written with what they did, said afterwards, forgotten when it was said.

A crash in between says something twice, with the same id; nothing is lost.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from schema.record.postgres import Connection, Postgres

_AT_ONCE = 500


class Announcement(msgspec.Struct, frozen=True):
    """One thing to say; `type` is that of the event."""

    id: int
    type: str
    video: str
    by: str
    reason: str
    traceparent: str
    at: datetime


async def announce(
    connection: Connection, type_: str, *, by: str, reason: str, video: str = "", traceparent: str = ""
) -> None:
    """To be said once this transaction is committed."""
    await connection.execute(
        "INSERT INTO announcements (type, video, by, reason, traceparent) VALUES ($1, $2, $3, $4, $5)",
        *(type_, video, by, reason, traceparent),
    )


class Announcements:
    """The rows of announcements."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def due(self) -> list[Announcement]:
        """The oldest that were not said yet, so many at once that they fit in memory."""

        async def work(connection: Connection) -> list[Announcement]:
            rows = await connection.fetch(
                "SELECT id, type, video, by, reason, traceparent, at FROM announcements ORDER BY id LIMIT $1", _AT_ONCE
            )
            return [Announcement(**dict(row)) for row in rows]

        return await self._postgres.run(work)

    async def said(self, announcements: list[Announcement]) -> None:
        """These are in their streams."""

        async def work(connection: Connection) -> None:
            await connection.execute(
                "DELETE FROM announcements WHERE id = ANY($1)", [announcement.id for announcement in announcements]
            )

        await self._postgres.run(work)
