"""Figures of the factory as the record has them: the runbook's key figures, and its question for the bottleneck.

A figure that cannot be known is None, never 0. Videos that were in hand across a halt or a pause do not count towards
the processing time: they did not take that long, they stood still.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec

from schema import flow
from schema.record.postgres import Connection, Postgres

_WINDOW = """
SELECT (SELECT count(*) FROM video_queue WHERE status = 'queued') AS queued,
       count(*) FILTER (WHERE status = 'completed') AS completed,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       avg(extract(epoch FROM completed_at - processing_started_at)) FILTER (
           WHERE status = 'completed' AND processing_started_at > coalesce(resumed.at, '-infinity')
       )::double precision AS processing_s,
       extract(epoch FROM now() - max(resumed.at))::double precision AS unheld_s
  FROM (SELECT max(applied_at) AS at FROM control_log WHERE verb = 'resume') AS resumed
       LEFT JOIN video_queue ON ended_at > now() - make_interval(secs => $1)"""

# a stage is open from the admission of its video on, and has no work before its inputs are there
_STAGE_WORK = """
SELECT s.stage, count(*) AS n FROM video_stages AS s
 WHERE s.status IN ('open', 'running', 'retrying')
   AND NOT EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS needs (stage, input)
                     JOIN video_stages AS i ON i.video_id = s.video_id AND i.stage = needs.input
                    WHERE needs.stage = s.stage AND i.status <> 'done')
 GROUP BY s.stage"""
_NEEDS = [(stage.name, name) for stage in flow.STAGES for name in stage.inputs]

# a video counts for the day that it was accepted on, and its end for the day that it ended on
_DAY = """
SELECT count(*) FILTER (WHERE created_at >= $1 AND created_at < $2) AS accepted,
       count(*) FILTER (WHERE status = 'completed' AND ended_at >= $1 AND ended_at < $2) AS completed,
       count(*) FILTER (WHERE status = 'failed' AND ended_at >= $1 AND ended_at < $2) AS failed,
       count(*) FILTER (WHERE status = 'cancelled' AND ended_at >= $1 AND ended_at < $2) AS cancelled,
       avg(extract(epoch FROM completed_at - processing_started_at)) FILTER (
           WHERE status = 'completed' AND ended_at >= $1 AND ended_at < $2)::double precision AS processing_s
  FROM video_queue
 WHERE (created_at >= $1 AND created_at < $2) OR (ended_at >= $1 AND ended_at < $2)"""

# the runbook's find_bottleneck
_STAGE_TIMES = """
SELECT stage, AVG(duration) AS average_s, MAX(duration) AS longest_s, COUNT(*) AS attempts
  FROM pipeline_stage_times WHERE timestamp > NOW() - make_interval(secs => $1)
 GROUP BY stage ORDER BY average_s DESC"""


class Window(msgspec.Struct, frozen=True):
    """The queue now, and what ended within the window."""

    queued: int
    completed: int
    failed: int
    #: Average from admission to completion; None where nothing was completed.
    processing_s: float | None
    #: Since the gate last opened; None where it was never shut.
    unheld_s: float | None

    @property
    def ended(self) -> int:
        """Videos that were completed or failed; what was cancelled is neither."""
        return self.completed + self.failed


class Day(msgspec.Struct, frozen=True):
    """What one day (UTC) saw; `processing_s` is the average of those completed on it."""

    accepted: int
    completed: int
    failed: int
    cancelled: int
    processing_s: float | None


class StageTimes(msgspec.Struct, frozen=True):
    """How long finished attempts of a stage took, by the runbook's name of it."""

    stage: str
    average_s: float
    longest_s: float
    attempts: int


class Figures:
    """Reads the figures."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def window(self, window_s: float) -> Window:
        """The queue now, and the last `window_s` seconds."""

        async def work(connection: Connection) -> Window:
            row = await connection.fetchrow(_WINDOW, window_s)
            assert row is not None  # noqa: S101 - an aggregate has a row
            return Window(row["queued"], row["completed"], row["failed"], row["processing_s"], row["unheld_s"])

        return await self._postgres.run(work)

    async def stage_work(self) -> dict[str, int]:
        """How many videos each stage has work for, done now or ready to be; a stage without any is not there."""

        async def work(connection: Connection) -> dict[str, int]:
            stages, inputs = zip(*_NEEDS, strict=True)
            return {row["stage"]: row["n"] for row in await connection.fetch(_STAGE_WORK, stages, inputs)}

        return await self._postgres.run(work)

    async def day(self, day: date) -> Day:
        """One day by UTC."""
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        row = await self._postgres.call(_DAY, start, start + timedelta(days=1))
        return Day(**dict(row))

    async def stage_times(self, window_s: float) -> list[StageTimes]:
        """The stages that finished an attempt within the last `window_s` seconds, slowest first."""

        async def work(connection: Connection) -> list[StageTimes]:
            rows = await connection.fetch(_STAGE_TIMES, window_s)
            return [StageTimes(row["stage"], row["average_s"], row["longest_s"], row["attempts"]) for row in rows]

        return await self._postgres.run(work)
