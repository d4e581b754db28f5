"""Runs of chores: each due hour is done by whoever writes its row first, one at a time across all hosts.

A run whose process died is taken over a few times, once its lease is over; the clock of a lease is Postgres' own. What
a run does may therefore be done twice.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from schema.record.postgres import Connection, Postgres, storable

#: Seconds after which a run that nobody renews counts as dead.
LEASE_S: Final = 60.0
_MOST_TRIES: Final = 3
_KEPT_DAYS: Final = 90
#: Any number that no other program uses: the key of the advisory lock.
_LOCK: Final = 0x59_54_43_48

_CLAIM: Final = f"""
INSERT INTO chore_runs AS r (chore, due_at, host)
SELECT $1, $2, $3
 WHERE NOT EXISTS (SELECT FROM chore_runs WHERE outcome = 'running' AND renewed_at > now() - make_interval(secs => $4))
   AND NOT EXISTS (SELECT FROM chore_runs WHERE chore = $1 AND due_at > $2)
ON CONFLICT (chore, due_at) DO UPDATE
   SET host = excluded.host, started_at = now(), renewed_at = now(), tries = r.tries + 1
 WHERE r.outcome = 'running' AND r.tries < {_MOST_TRIES}
RETURNING true"""

_ENDED: Final = """
UPDATE chore_runs SET outcome = $4, said = $5, ended_at = now()
 WHERE chore = $1 AND due_at = $2 AND host = $3 AND outcome = 'running' RETURNING true"""

_LATEST: Final = """
SELECT DISTINCT ON (chore) chore, due_at, host, started_at, ended_at, outcome, said
  FROM chore_runs ORDER BY chore, due_at DESC"""


class Run(msgspec.Struct, frozen=True):
    """One run of a chore; `outcome` is running, done, failed, or skipped where the factory was new."""

    chore: str
    due_at: datetime
    host: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    said: str


class ChoreRuns:
    """The rows of chore_runs."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def claim(self, chore: str, due_at: datetime, host: str) -> bool:
        """Whether this host is to do it now: it was not done, and nothing else is being done."""

        async def work(connection: Connection) -> bool:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            return bool(await connection.fetchval(_CLAIM, chore, due_at, host, LEASE_S))

        return await self._postgres.run(work)

    async def renew(self, chore: str, due_at: datetime) -> None:
        """It is still being done."""
        await self._execute("UPDATE chore_runs SET renewed_at = now() WHERE chore = $1 AND due_at = $2", chore, due_at)

    async def end(self, chore: str, due_at: datetime, host: str, *, outcome: str, said: str) -> None:
        """It was done, or it failed; `said` is the end of what it printed."""
        await self._execute(_ENDED, chore, due_at, host, outcome, storable(said))

    async def skip(self, chore: str, due_at: datetime, host: str) -> None:
        """What was due before the factory was there is nobody's to make up."""
        await self._execute(
            """INSERT INTO chore_runs (chore, due_at, host, ended_at, outcome, said)
               VALUES ($1, $2, $3, now(), 'skipped', 'due before the first start') ON CONFLICT DO NOTHING""",
            *(chore, due_at, host),
        )

    async def latest(self) -> list[Run]:
        """The last run of each chore."""

        async def work(connection: Connection) -> list[Run]:
            return [Run(**dict(row)) for row in await connection.fetch(_LATEST)]

        return await self._postgres.run(work)

    async def forget_old(self) -> None:
        """Remove what nobody looks at any more."""
        await self._execute(f"DELETE FROM chore_runs WHERE due_at < now() - interval '{_KEPT_DAYS} days'")

    async def _execute(self, statement: str, *arguments: object) -> None:
        async def work(connection: Connection) -> None:
            await connection.execute(statement, *arguments)

        await self._postgres.run(work)
