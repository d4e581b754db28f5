"""Contradictions in the record: one statement each, which finds some and mends them where that is safe.

Stage rows decide, since work is claimed there and nowhere else: a video whose status says otherwise is given the status
that its stages have. What is mended is what no work of ours leaves behind, so that nothing alive is met; rows that
somebody has locked are passed over. A completed video that was never finished cannot be mended: it is quarantined,
which is failed with that reason, and `retry` makes it again from its script.

Each statement mends a limited number, by indexes; `never_finished` reads every video and is asked seldom.
"""

from __future__ import annotations

from typing import Final

import msgspec

from schema import flow
from schema.record import attempts
from schema.record.postgres import Connection, Postgres, storable

#: How every reason of a quarantined video begins.
QUARANTINED: Final = "quarantined"
_MOST: Final = 100
_LIVE: Final = "('open', 'running', 'retrying')"
_ENDED: Final = "('completed', 'failed', 'cancelled')"
_PROCESSING: Final = (
    f"SELECT id FROM video_queue WHERE status = 'processing' LIMIT {_MOST} FOR NO KEY UPDATE SKIP LOCKED"
)

_MENDS: Final = {
    # the runbook's first query, and its like; with the index idx_queue_untimed
    "ended_without_time": f"""
UPDATE video_queue AS v
   SET ended_at = coalesce(v.ended_at, v.completed_at, s.ended_at, now()),
       completed_at = CASE WHEN v.status = 'completed'
                           THEN coalesce(v.completed_at, v.ended_at, s.ended_at, now()) ELSE v.completed_at END
  FROM (SELECT id, (SELECT max(ended_at) FROM video_stages WHERE video_id = id) AS ended_at FROM video_queue
         WHERE (status = 'completed' AND completed_at IS NULL)
            OR (status IN {_ENDED} AND ended_at IS NULL) LIMIT {_MOST} FOR NO KEY UPDATE SKIP LOCKED) AS s
 WHERE v.id = s.id RETURNING v.id, v.status || ' without its time: it has the one of its last stage now' AS detail""",
    "completed_in_hand": f"""
UPDATE video_queue AS v SET status = 'processing', completed_at = NULL, ended_at = NULL,
       processing_started_at = coalesce(processing_started_at, created_at)
 WHERE v.status = 'completed' AND v.id IN (
       SELECT video_id FROM video_stages WHERE stage = $1 AND status IN {_LIVE})
RETURNING v.id, 'completed while its stages are in hand: it is processing again' AS detail""",
    "processing_without_stages": f"""
UPDATE video_queue AS v SET status = 'queued', processing_started_at = NULL
 WHERE v.id IN ({_PROCESSING}) AND NOT EXISTS (SELECT FROM video_stages AS s WHERE s.video_id = v.id)
RETURNING v.id, 'processing without stages: it is queued again' AS detail""",
    "processing_finished": f"""
UPDATE video_queue AS v SET status = 'completed', completed_at = s.ended_at, ended_at = s.ended_at
  FROM video_stages AS s
 WHERE v.id IN ({_PROCESSING}) AND s.video_id = v.id AND s.stage = $1 AND s.status = 'done'
RETURNING v.id, 'processing although its last stage is done: it is completed' AS detail""",
    "processing_failed": f"""
UPDATE video_queue AS v
   SET status = 'failed', ended_at = coalesce(s.ended_at, now()), reason = coalesce(s.error, s.stage)
  FROM video_stages AS s
 WHERE v.id IN ({_PROCESSING}) AND s.video_id = v.id AND s.status = 'failed'
   AND NOT EXISTS (SELECT FROM video_stages AS o WHERE o.video_id = v.id AND o.status IN {_LIVE})
RETURNING v.id, 'processing although a stage has failed: it is failed' AS detail""",
    "processing_dropped": f"""
UPDATE video_queue AS v SET status = 'queued', processing_started_at = NULL
 WHERE v.id IN ({_PROCESSING})
   AND EXISTS (SELECT FROM video_stages AS s WHERE s.video_id = v.id AND s.stage = $1 AND s.status = 'dropped')
   AND NOT EXISTS (SELECT FROM video_stages AS s WHERE s.video_id = v.id AND s.status IN ('failed', 'open', 'running',
                                                                                          'retrying'))
RETURNING v.id, 'processing although its stages were dropped: it is queued again' AS detail""",
    "running_without_lease": """
UPDATE video_stages SET lease_until = now() WHERE status = 'running' AND lease_until IS NULL
RETURNING video_id AS id, stage || ' running without a lease: its worker counts as silent' AS detail""",
    "done_without_output": f"""
UPDATE video_stages AS s SET status = 'open', output = NULL, ended_at = NULL, progress = 0, opened_at = now()
 WHERE s.status = 'done' AND (s.output IS NULL OR s.ended_at IS NULL) AND s.video_id IN (
       SELECT video_id FROM video_stages WHERE stage = $1 AND status IN {_LIVE})
RETURNING s.video_id AS id, s.stage || ' done without its output: it is open again' AS detail""",
}

_ENDED_IN_HAND = f"""
SELECT v.id FROM video_queue AS v WHERE v.status IN ('failed', 'cancelled') AND v.id IN (
       SELECT video_id FROM video_stages WHERE stage = $1 AND status IN {_LIVE}) LIMIT {_MOST}"""

_NEVER_FINISHED = f"""
SELECT v.id FROM video_queue AS v WHERE v.status = 'completed' AND NOT EXISTS (
       SELECT FROM video_stages AS s WHERE s.video_id = v.id AND s.stage = $1 AND s.status = 'done'
                                       AND s.output IS NOT NULL)
   AND NOT EXISTS (SELECT FROM video_stages AS s WHERE s.video_id = v.id AND s.status IN {_LIVE}) LIMIT {_MOST}"""

_QUARANTINE = """
UPDATE video_queue SET status = 'failed', completed_at = NULL, ended_at = now(), reason = $2
 WHERE id = $1 AND status = 'completed' RETURNING true"""

# What had files has lost them: a retry makes it again.
_DROP_FILES = """
UPDATE video_stages SET status = 'dropped', output = NULL, progress = 0, started_at = NULL, ended_at = NULL
 WHERE video_id = $1 AND stage <> $2"""


class Finding(msgspec.Struct, frozen=True):
    """One contradiction: the check that found it, its subject (a video, a counter), and what was done, in words."""

    check: str
    subject: str
    detail: str


class Audit:
    """Asks the record about itself."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def mend(self) -> list[Finding]:
        """What a few index probes find, mended."""
        return [finding for check in _MENDS for finding in await self._mend(check)] + await self._drop_ended()

    async def never_finished(self) -> list[str]:
        """Completed videos whose last stage is not done; reads every video there is."""

        async def work(connection: Connection) -> list[str]:
            return [row["id"] for row in await connection.fetch(_NEVER_FINISHED, flow.LAST.name)]

        return await self._postgres.run(work)

    async def quarantine(self, video: str, reason: str) -> bool:
        """Fail a completed video, with a reason that says so; False where it is not completed any more."""

        async def work(connection: Connection) -> bool:
            await connection.fetch("SELECT FROM video_stages WHERE video_id = $1 ORDER BY stage FOR UPDATE", video)
            done = await connection.fetchval(_QUARANTINE, video, storable(f"{QUARANTINED}: {reason}"))
            if done:
                await connection.execute(_DROP_FILES, video, flow.FIRST.name)
            return bool(done)

        return await self._postgres.run(work)

    async def contradicting(self) -> int:
        """Rows that the operators' two corruption queries find; nothing is mended."""
        row = await self._postgres.call(
            """SELECT (SELECT count(*) FROM video_queue WHERE status = 'completed' AND completed_at IS NULL)
                    + (SELECT count(*) FROM pipeline_costs WHERE amount < 0 OR amount > 10) AS found"""
        )
        return int(row["found"])

    async def close_idle_sessions(self, idle_s: float) -> list[Finding]:
        """Close sessions of this application that were idle for so long; nobody else's."""

        async def work(connection: Connection) -> list[Finding]:
            rows = await connection.fetch("SELECT * FROM close_idle_sessions($1)", idle_s)
            return [
                Finding(
                    "idle_session",
                    row["application_name"],
                    f"session {row['pid']} of {row['application_name']} was {row['state']} for {row['idle_s']:.0f} s "
                    f"(limit {idle_s:g} s): it is closed",
                )
                for row in rows
            ]

        return await self._postgres.run(work)

    async def _mend(self, check: str) -> list[Finding]:
        async def work(connection: Connection) -> list[Finding]:
            given = (flow.LAST.name,) if "$1" in _MENDS[check] else ()
            return [Finding(check, row["id"], row["detail"]) for row in await connection.fetch(_MENDS[check], *given)]

        return await self._postgres.run(work)

    async def _drop_ended(self) -> list[Finding]:
        """An end that was said stands: what its stages still do is dropped."""

        async def work(connection: Connection) -> list[Finding]:
            rows = await connection.fetch(_ENDED_IN_HAND, flow.LAST.name)
            for row in rows:
                await attempts.drop(connection, row["id"])
            return [Finding("ended_in_hand", row["id"], "ended while stages are in hand: dropped") for row in rows]

        return await self._postgres.run(work)
