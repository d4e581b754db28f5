"""What dispatch does with the queue: promotes, admits by priority and age, and shows what is queued and in hand.

What is in hand is counted from stage rows, never from `status`, so an UPDATE typed by hand cannot admit too much. A
video that was taken up again keeps what its stages have done: only the others are opened.
"""

from __future__ import annotations

import msgspec

from schema import flow
from schema.record.postgres import Connection, Postgres

# Waiting raises priority slowly; equal videos go by age.
_ORDER = "priority + extract(epoch FROM now() - created_at) / $1 DESC, created_at, id"

# Among equal priorities age alone decides, so the first of each are all that can be chosen of: as many index probes as
# there are priorities, however many wait.
_PROMOTE = f"""
WITH room AS MATERIALIZED (
    SELECT greatest(0, $2 - (SELECT count(*) FROM video_queue WHERE status = 'queued')) AS places),
first AS MATERIALIZED (
    SELECT oldest.* FROM generate_series(0, 9) AS level CROSS JOIN LATERAL (
           SELECT id, priority, created_at FROM video_queue WHERE status = 'waiting' AND priority = level
            ORDER BY created_at, id LIMIT (SELECT places FROM room)) AS oldest
     ORDER BY {_ORDER} LIMIT (SELECT places FROM room))
UPDATE video_queue SET status = 'queued' WHERE id IN (
    SELECT id FROM video_queue WHERE status = 'waiting' AND id IN (SELECT id FROM first) FOR UPDATE SKIP LOCKED)"""

# A row that was typed back to queued while its stages are in hand is simply in hand.
_RECLAIM = """
UPDATE video_queue AS v SET status = 'processing',
       processing_started_at = coalesce(v.processing_started_at, s.opened_at)
  FROM video_stages AS s
 WHERE s.video_id = v.id AND s.stage = $1 AND s.status IN ('open', 'running', 'retrying') AND v.status = 'queued'"""

# A video that was taken up again has stages already: those that are not done are opened as if they had never been.
_ADMIT = f"""
WITH chosen AS (
    SELECT id, {_ORDER.split(" DESC", maxsplit=1)[0]} AS rank, created_at FROM video_queue
     WHERE status = 'queued' AND coalesce(
           (SELECT bool_and(s.status IN ('done', 'failed', 'dropped')) AND bool_or(s.status <> 'done')
              FROM video_stages AS s WHERE s.video_id = video_queue.id), true)
     ORDER BY {_ORDER} LIMIT $2 FOR UPDATE SKIP LOCKED),
admitted AS (
    UPDATE video_queue SET status = 'processing', processing_started_at = now(), admissions = admissions + 1
     WHERE id IN (SELECT id FROM chosen) RETURNING id, traceparent, admissions),
opened AS (
    INSERT INTO video_stages AS s (video_id, stage) SELECT id, stage FROM chosen, unnest($3::text[]) AS stage
    ON CONFLICT (video_id, stage) DO UPDATE
       SET status = 'open', failures = 0, crashes = 0, claim_id = NULL, worker = NULL, entry = NULL, progress = 0,
           output = NULL, error = NULL, opened_at = now(), started_at = NULL, ended_at = NULL, published_at = NULL
     WHERE s.status <> 'done')
SELECT chosen.id, admitted.traceparent, admitted.admissions FROM chosen JOIN admitted USING (id)
 ORDER BY rank DESC, created_at, id"""

_IN_HAND = "SELECT count(*) FROM video_stages WHERE stage = $1 AND status IN ('open', 'running', 'retrying')"


class Admitted(msgspec.Struct, frozen=True):
    """A video that is in hand, the trace it belongs to, and how often it was admitted: 1, or more after retries."""

    video: str
    traceparent: str
    admissions: int


class Queue:
    """The rows of video_queue that wait for their turn, and those that have it."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def promote(self, *, capacity: int, age_per_priority_s: float) -> int:
        """Move videos from waiting to queued while there is room; returns how many."""

        async def work(connection: Connection) -> int:
            return _count(await connection.execute(_PROMOTE, age_per_priority_s, capacity))

        return await self._postgres.run(work)

    async def admit(self, *, most: int, age_per_priority_s: float) -> tuple[Admitted, ...]:
        """Admit queued videos up to `most` in hand, opening their stages; in order of admission."""

        async def work(connection: Connection) -> tuple[Admitted, ...]:
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('ytempire admission'))")
            await connection.execute(_RECLAIM, flow.LAST.name)
            room = most - await connection.fetchval(_IN_HAND, flow.LAST.name)
            if room <= 0:
                return ()
            stages = [stage.name for stage in flow.STAGES]
            rows = await connection.fetch(_ADMIT, age_per_priority_s, room, stages)
            return tuple(Admitted(row["id"], row["traceparent"], row["admissions"]) for row in rows)

        return await self._postgres.run(work)

    async def unpublished(self) -> tuple[Admitted, ...]:
        """Admitted videos whose first stage is open, and whose fact dispatch has not marked as published."""

        async def work(connection: Connection) -> tuple[Admitted, ...]:
            rows = await connection.fetch(
                """SELECT v.id, v.traceparent, v.admissions
                     FROM video_stages AS s JOIN video_queue AS v ON v.id = s.video_id
                    WHERE s.stage = $1 AND s.status = 'open' AND s.published_at IS NULL ORDER BY s.opened_at""",
                flow.FIRST.name,
            )
            return tuple(Admitted(row["id"], row["traceparent"], row["admissions"]) for row in rows)

        return await self._postgres.run(work)

    async def mark_published(self, videos: list[str]) -> None:
        """The facts of these admissions are in their stream."""

        async def work(connection: Connection) -> None:
            await connection.execute(
                "UPDATE video_stages SET published_at = now() WHERE stage = $1 AND video_id = ANY($2)",
                flow.FIRST.name,
                videos,
            )

        await self._postgres.run(work)

    async def in_hand(self) -> int:
        """Videos admitted and not ended, counted from stage rows."""
        return int(await self._postgres.run(lambda connection: connection.fetchval(_IN_HAND, flow.LAST.name)))

    async def mirrored(self) -> tuple[dict[str, float], set[str]]:
        """What the two queue keys in Redis should hold: queued videos with their priority, and those processing."""

        async def work(connection: Connection) -> tuple[dict[str, float], set[str]]:
            rows = await connection.fetch(
                "SELECT id, status, priority FROM video_queue WHERE status IN ('queued', 'processing')"
            )
            queued = {row["id"]: float(row["priority"]) for row in rows if row["status"] == "queued"}
            return queued, {row["id"] for row in rows if row["status"] == "processing"}

        return await self._postgres.run(work)


def _count(command_tag: str) -> int:
    return int(command_tag.rsplit(" ", maxsplit=1)[-1])
