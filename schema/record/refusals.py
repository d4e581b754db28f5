"""What was refused before it became work, and what was given up on: rows that the streams of the same names mirror."""

from __future__ import annotations

from typing import Literal

from schema.record.postgres import Connection, Postgres, storable


class Refusals:
    """The rows of refused_events."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def note(
        self, kind: Literal["rejected", "dead"], *, stream: str, entry_id: str, error: str, hint: str
    ) -> None:
        """Keep why an event was refused (`rejected`) or given up on (`dead`); once per event."""

        async def work(connection: Connection) -> None:
            await connection.execute(
                """INSERT INTO refused_events (from_stream, from_id, kind, error, hint) VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT DO NOTHING""",
                *(stream, entry_id, kind, storable(error), storable(hint)),
            )

        await self._postgres.run(work)
