"""Attempts that run, as the stuck guardian sees them, and the end of one that its worker cannot end.

An attempt's clock counts from the later of its start and the last resume: what was held meanwhile was not late. Ending
one is guarded by its number and by its lateness, in one statement: an attempt that ended or moved on is left alone.
"""

from __future__ import annotations

import msgspec

from schema import flow
from schema.events.fact import Fact
from schema.record.attempts import end_failed
from schema.record.postgres import Connection, Postgres, storable

#: When the gate last opened, or may have: clocks begin again there.
_RESUMED = "(SELECT max(applied_at) FROM control_log WHERE verb = 'resume')"
_RUNNING_S = f"extract(epoch FROM now() - greatest(s.started_at, {_RESUMED}))::double precision"

_RUNNING = f"""
SELECT s.video_id, s.stage, s.attempt, s.worker, s.entry, s.failures, {_RUNNING_S} AS running_s,
       extract(epoch FROM now() - s.lease_until)::double precision AS silent_s,
       extract(epoch FROM now() - pg_postmaster_start_time())::double precision AS server_up_s,
       coalesce((v.brief->>'length_s')::double precision, 0) AS length_s
  FROM video_stages AS s JOIN video_queue AS v ON v.id = s.video_id WHERE s.status = 'running'"""

_TIME_OUT = f"""
UPDATE video_stages AS s SET status = $4, failures = failures + 1, error = $5, lease_until = NULL, retry_at = NULL,
       ended_at = CASE WHEN $4 = 'failed' THEN now() END
 WHERE video_id = $1 AND stage = $2 AND attempt = $3 AND status = 'running' AND {_RUNNING_S} > $6 RETURNING true"""


class Attempt(msgspec.Struct, frozen=True):
    """An attempt that runs; `silent_s` is negative while its lease lives."""

    video: str
    stage: str
    number: int
    worker: str
    entry: str
    failures: int
    running_s: float
    silent_s: float
    #: Planned length of the film, on which its limit depends.
    length_s: float


class TimedOut(msgspec.Struct, frozen=True):
    """An attempt that was ended for its worker; `failed` is the end of its video where it was the last one."""

    failed: Fact | None


class Overdue:
    """Reads what runs, and ends what is over its limit."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def running(self, *, steady_s: float) -> list[Attempt]:
        """All attempts that run. No lease counts as silent before Postgres has been there for `steady_s`."""

        async def work(connection: Connection) -> list[Attempt]:
            return [
                Attempt(
                    video=row["video_id"],
                    stage=row["stage"],
                    number=row["attempt"],
                    worker=row["worker"] or "",
                    entry=row["entry"] or "",
                    failures=row["failures"],
                    running_s=row["running_s"],
                    silent_s=min(
                        row["silent_s"],
                        row["server_up_s"] - steady_s,
                        self._postgres.steady_for_s() - steady_s,
                    ),
                    length_s=row["length_s"],
                )
                for row in await connection.fetch(_RUNNING)
            ]

        return await self._postgres.run(work)

    async def unheld_s(self) -> float:
        """Seconds since the gate last opened; infinite where it was never shut."""

        async def work(connection: Connection) -> float | None:
            seconds: float | None = await connection.fetchval(
                f"SELECT extract(epoch FROM now() - {_RESUMED})::double precision"
            )
            return seconds

        seconds = await self._postgres.run(work)
        return float("inf") if seconds is None else seconds

    async def time_out(self, attempt: Attempt, *, limit_s: float, last: bool, reason: str) -> TimedOut | None:
        """End an attempt that has run for more than `limit_s` as a failure; the `last` one fails its video.

        The stage is open for the next attempt at once. None: it was not that attempt any more, or not late.
        """
        reason = storable(reason)

        async def work(connection: Connection) -> TimedOut | None:
            key = (attempt.video, attempt.stage, attempt.number)
            left = await connection.fetchval(_TIME_OUT, *key, "failed" if last else "open", reason, limit_s)
            if left is None:
                return None
            await connection.execute(
                """UPDATE stage_attempts SET ended_at = now(), outcome = 'timed_out', error = $4
                    WHERE video_id = $1 AND stage = $2 AND attempt = $3 AND outcome = 'running'""",
                *(*key, reason),
            )
            return TimedOut(await end_failed(connection, key, reason) if last else None)

        return await self._postgres.run(work)


def limit_s(attempt: Attempt) -> float:
    """How long this attempt may take, by the normal limits: an attempt under shorter ones is ended by its worker."""
    return flow.limit_s(flow.STAGE[attempt.stage], length_s=attempt.length_s, speed=False)
