"""Reservations that nobody will end: of attempts that are over, in stages that begin no other.

The next attempt of a stage turns what older ones left, by itself; this is for a stage that has none, since its video
failed or was cancelled. What was reserved is released, what was sent is of unknown outcome. Harmless while a call is
under way: its bill is booked all the same.
"""

from __future__ import annotations

from uuid import UUID

from schema.record.postgres import Connection, Postgres


class Abandoned:
    """The view money.abandoned, and its end."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def find(self) -> list[UUID]:
        """Those there are; few, since only what is in hand is looked at."""

        async def work(connection: Connection) -> list[UUID]:
            return [row["id"] for row in await connection.fetch("SELECT id FROM money.abandoned ORDER BY id")]

        return await self._postgres.run(work)

    async def turn(self) -> int:
        """End them all, one call each; says how many."""
        count = 0
        for reservation in await self.find():
            row = await self._postgres.call("SELECT money.turn_abandoned($1) AS turned", reservation)
            count += row["turned"]
        return count
