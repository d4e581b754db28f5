"""Why a guardian lets no video be admitted: named stops, of which dispatch reads all.

A stop stands while its guardian says it again; one whose guardian is gone ends by itself after `STALE_S`. It holds back
what was not admitted yet and touches nothing that is in hand. It counts for all hosts, whoever placed it.
"""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg
import msgspec

from schema.record.postgres import Connection, Postgres

#: Seconds after which a stop that was not said again stops nobody.
STALE_S = 60.0

_KEEP = """
INSERT INTO admission_stops (cause, by, host, reason) VALUES ($1, $2, $3, $4)
ON CONFLICT (cause, by, host) DO UPDATE SET renewed_at = now(), reason = excluded.reason
RETURNING xmax = 0 AS placed, *"""


class Stop(msgspec.Struct, frozen=True):
    """One reason why nothing is admitted; `cause` is its name."""

    cause: str
    by: str
    host: str
    reason: str


class Kept(msgspec.Struct, frozen=True):
    """What changed when a guardian said what it stops."""

    placed: tuple[Stop, ...]
    lifted: tuple[Stop, ...]


class AdmissionStops:
    """The rows of admission_stops."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def keep(self, by: str, host: str, reasons: Mapping[str, str]) -> Kept:
        """From now on `by` stops admission for exactly these causes on `host`; others of its own are lifted."""

        async def work(connection: Connection) -> Kept:
            rows = [await connection.fetchrow(_KEEP, cause, by, host, reason) for cause, reason in reasons.items()]
            lifted = await connection.fetch(
                "DELETE FROM admission_stops WHERE by = $1 AND host = $2 AND cause <> ALL($3) RETURNING *",
                *(by, host, list(reasons)),
            )
            placed = tuple(_stop(row) for row in rows if row is not None and row["placed"])
            return Kept(placed, tuple(map(_stop, lifted)))

        return await self._postgres.run(work)

    async def standing(self) -> tuple[Stop, ...]:
        """Why nothing is admitted at the moment; empty: guardians let it."""

        async def work(connection: Connection) -> tuple[Stop, ...]:
            rows = await connection.fetch(
                """SELECT * FROM admission_stops
                    WHERE renewed_at > now() - make_interval(secs => $1) ORDER BY placed_at""",
                STALE_S,
            )
            return tuple(map(_stop, rows))

        return await self._postgres.run(work)


def _stop(row: asyncpg.Record) -> Stop:
    return Stop(row["cause"], row["by"], row["host"], row["reason"])
