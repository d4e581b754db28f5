"""What was refused before it became work, and what was given up on: rows that the streams of the same names mirror."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from schema.record.postgres import Connection, Postgres, storable

_NOTE = """
INSERT INTO refused_events (from_stream, from_id, kind, error, hint) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING"""


class Refused(msgspec.Struct, frozen=True):
    """An event that was refused, and what its sender is told."""

    stream: str
    entry_id: str
    error: str
    hint: str


async def reject(connection: Connection, refused: Sequence[Refused]) -> None:
    """Keep why these were refused, once each, in a transaction that somebody else has begun."""
    await connection.executemany(
        _NOTE, [(one.stream, one.entry_id, "rejected", storable(one.error), storable(one.hint)) for one in refused]
    )


class Refusals:
    """The rows of refused_events."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def note(
        self, kind: Literal["rejected", "dead"], *, stream: str, entry_id: str, error: str, hint: str
    ) -> None:
        """Keep why an event was refused (`rejected`) or given up on (`dead`); once per event."""

        async def work(connection: Connection) -> None:
            await connection.execute(_NOTE, stream, entry_id, kind, storable(error), storable(hint))

        await self._postgres.run(work)
