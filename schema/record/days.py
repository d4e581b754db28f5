"""One day of the factory, hour by hour and stage by stage: what the daily report shows beside its key figures.

Days are UTC; a video counts for the hour in which it was accepted, and its end for the hour in which it ended.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

import msgspec

from schema.record.postgres import Connection, Postgres

_HOURS: Final = """
SELECT h::integer AS hour,
       (SELECT count(*) FROM video_queue WHERE created_at >= $1 AND created_at < $2
           AND extract(hour FROM created_at AT TIME ZONE 'UTC') = h) AS accepted,
       count(v.id) FILTER (WHERE v.status = 'completed') AS completed,
       count(v.id) FILTER (WHERE v.status = 'failed') AS failed
  FROM generate_series(0, 23) AS h
       LEFT JOIN video_queue AS v ON v.ended_at >= $1 AND v.ended_at < $2
             AND extract(hour FROM v.ended_at AT TIME ZONE 'UTC') = h
 GROUP BY h ORDER BY h"""

_STAGES: Final = """
SELECT stage, count(*) AS attempts, avg(duration) AS average_s, max(duration) AS longest_s,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY duration) AS p95_s
  FROM pipeline_stage_times WHERE timestamp >= $1 AND timestamp < $2 GROUP BY stage ORDER BY average_s DESC"""

_FAILURES: Final = """
SELECT split_part(coalesce(reason, 'no reason was given'), E'\\n', 1) AS reason, count(*) AS videos, min(id) AS example
  FROM video_queue WHERE status = 'failed' AND ended_at >= $1 AND ended_at < $2
 GROUP BY 1 ORDER BY videos DESC, reason LIMIT $3"""

_RETRIES: Final = """
SELECT count(*) FILTER (WHERE outcome = 'retried') AS retried, count(*) FILTER (WHERE outcome = 'crashed') AS crashed,
       count(*) FILTER (WHERE outcome = 'timed_out') AS timed_out
  FROM stage_attempts WHERE ended_at >= $1 AND ended_at < $2"""

_HELD: Final = """
SELECT count(*) FILTER (WHERE verb = 'halt') AS halts, count(*) FILTER (WHERE verb = 'pause') AS pauses
  FROM control_log WHERE applied_at >= $1 AND applied_at < $2 AND error IS NULL"""

_STUCK: Final = """
SELECT count(*) AS stuck FROM video_queue
 WHERE status = 'processing' AND processing_started_at < now() - interval '30 minutes'"""

_RECENT: Final = """
SELECT status, count(*) AS n FROM video_queue WHERE created_at > now() - interval '24 hours'
 GROUP BY status ORDER BY status"""


class Hour(msgspec.Struct, frozen=True):
    """What one hour saw."""

    hour: int
    accepted: int
    completed: int
    failed: int


class StageDay(msgspec.Struct, frozen=True):
    """How long the finished attempts of a stage took, by the runbook's name of it."""

    stage: str
    attempts: int
    average_s: float
    longest_s: float
    p95_s: float


class Failure(msgspec.Struct, frozen=True):
    """A reason for which videos failed, and one of them."""

    reason: str
    videos: int
    example: str


class Trouble(msgspec.Struct, frozen=True):
    """What went wrong and was made up for, and how often somebody held the factory."""

    retried: int
    crashed: int
    timed_out: int
    halts: int
    pauses: int


class DayStory(msgspec.Struct, frozen=True):
    """One day in detail."""

    hours: tuple[Hour, ...]
    stages: tuple[StageDay, ...]
    failures: tuple[Failure, ...]
    trouble: Trouble


class Days:
    """Reads days."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def story(self, day: date, *, most: int = 8) -> DayStory:
        """The details of a day, with the `most` frequent reasons for failures."""
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        end = start + timedelta(days=1)

        async def work(connection: Connection) -> DayStory:
            retries = await connection.fetchrow(_RETRIES, start, end)
            held = await connection.fetchrow(_HELD, start, end)
            assert retries is not None  # noqa: S101 - an aggregate has a row
            assert held is not None  # noqa: S101 - likewise
            return DayStory(
                tuple([Hour(**dict(row)) for row in await connection.fetch(_HOURS, start, end)]),
                tuple([StageDay(**dict(row)) for row in await connection.fetch(_STAGES, start, end)]),
                tuple([Failure(**dict(row)) for row in await connection.fetch(_FAILURES, start, end, most)]),
                Trouble(**dict(retries), **dict(held)),
            )

        return await self._postgres.run(work)

    async def stuck(self) -> int:
        """The runbook's question: videos that have been processed for more than 30 minutes."""
        return int((await self._postgres.call(_STUCK))["stuck"])

    async def recent(self) -> dict[str, int]:
        """The runbook's other one: the videos of the last 24 hours by status."""

        async def work(connection: Connection) -> dict[str, int]:
            return {row["status"]: row["n"] for row in await connection.fetch(_RECENT)}

        return await self._postgres.run(work)
