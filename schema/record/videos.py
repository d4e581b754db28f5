"""The queue of videos: accepted once by key, promoted and admitted by priority and age, ended once.

`waiting` lies beyond the queue's capacity, `queued` may be admitted, `processing` is in hand. What is in hand is
counted from stage rows, never from `status`, so an UPDATE typed by hand cannot admit too much.
"""

from __future__ import annotations

import secrets
from datetime import datetime

import msgspec

from schema import flow
from schema.documents import Brief
from schema.record.postgres import Connection, Postgres

#: Crockford's base 32 in lower case: nothing that is misread on a phone.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PLACES_COUNTED = 1000

_ACCEPT = """
INSERT INTO video_queue (id, key, priority, topic, brief, traceparent)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key) DO NOTHING RETURNING id, status"""

_AHEAD = f"""
SELECT count(*) FROM (
    SELECT 1 FROM video_queue WHERE status IN ('queued', 'waiting')
       AND (priority > $1 OR (priority = $1 AND created_at < $2)) LIMIT {_PLACES_COUNTED}) AS ahead"""

# Waiting raises priority slowly; equal videos go by age.
_ORDER = "priority + extract(epoch FROM now() - created_at) / $1 DESC, created_at, id"

_PROMOTE = f"""
UPDATE video_queue SET status = 'queued' WHERE id IN (
    SELECT id FROM video_queue WHERE status = 'waiting' ORDER BY {_ORDER}
     LIMIT greatest(0, $2 - (SELECT count(*) FROM video_queue WHERE status = 'queued'))
       FOR UPDATE SKIP LOCKED)"""

# A row that was typed back to queued while its stages are in hand is simply in hand.
_RECLAIM = """
UPDATE video_queue AS v SET status = 'processing',
       processing_started_at = coalesce(v.processing_started_at, s.opened_at)
  FROM video_stages AS s
 WHERE s.video_id = v.id AND s.stage = $1 AND s.status IN ('open', 'running', 'retrying') AND v.status = 'queued'"""

_ADMIT = f"""
WITH chosen AS (
    SELECT id, {_ORDER.split(" DESC", maxsplit=1)[0]} AS rank, created_at FROM video_queue
     WHERE status = 'queued' AND NOT EXISTS (SELECT 1 FROM video_stages AS s WHERE s.video_id = video_queue.id)
     ORDER BY {_ORDER} LIMIT $2 FOR UPDATE SKIP LOCKED),
admitted AS (
    UPDATE video_queue SET status = 'processing', processing_started_at = now()
     WHERE id IN (SELECT id FROM chosen) RETURNING id, traceparent),
opened AS (
    INSERT INTO video_stages (video_id, stage) SELECT id, stage FROM chosen, unnest($3::text[]) AS stage)
SELECT chosen.id, admitted.traceparent FROM chosen JOIN admitted USING (id) ORDER BY rank DESC, created_at, id"""

_IN_HAND = "SELECT count(*) FROM video_stages WHERE stage = $1 AND status IN ('open', 'running', 'retrying')"


class Accepted(msgspec.Struct, frozen=True):
    """The answer to a request: `place` counts from 1 and stops at 1001; `created` is False for a key met before."""

    video: str
    status: str
    place: int
    created: bool


class Admitted(msgspec.Struct, frozen=True):
    """A video whose first stage is owed, and the trace it belongs to."""

    video: str
    traceparent: str


class VideoRow(msgspec.Struct, frozen=True):
    """A video as operators see it."""

    video: str
    status: str
    priority: int
    topic: str
    created_at: datetime
    ended_at: datetime | None
    reason: str


class StageRow(msgspec.Struct, frozen=True):
    """A stage of a video as operators see it; `progress` is 0 to 1."""

    stage: str
    status: str
    attempt: int
    progress: float
    error: str
    started_at: datetime | None
    ended_at: datetime | None


class Videos:
    """The rows of video_queue."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def accept(self, *, key: str, priority: int, brief: Brief, traceparent: str) -> Accepted:
        """Commit a request; the same key again answers with the video it already made."""

        async def work(connection: Connection) -> Accepted:
            row = await connection.fetchrow(
                _ACCEPT,
                _new_id(await connection.fetchval("SELECT now()")),
                key,
                priority,
                brief.topic,
                brief,
                traceparent,
            )
            created = row is not None
            row = await connection.fetchrow(
                "SELECT id, status, priority, created_at FROM video_queue WHERE key = $1", key
            )
            assert row is not None  # noqa: S101 - inserted above, and rows are never deleted by us
            ahead = await connection.fetchval(_AHEAD, row["priority"], row["created_at"])
            return Accepted(row["id"], row["status"], ahead + 1, created)

        return await self._postgres.run(work)

    async def waiting_at_least(self, count: int) -> bool:
        """Whether that many videos wait beyond the queue; one index probe."""

        async def work(connection: Connection) -> bool:
            return bool(
                await connection.fetchval(
                    "SELECT EXISTS (SELECT 1 FROM video_queue WHERE status = 'waiting' OFFSET $1 LIMIT 1)", count - 1
                )
            )

        return await self._postgres.run(work)

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
            return tuple(Admitted(row["id"], row["traceparent"]) for row in rows)

        return await self._postgres.run(work)

    async def unpublished(self) -> tuple[Admitted, ...]:
        """Admitted videos whose fact dispatch has not marked as published."""

        async def work(connection: Connection) -> tuple[Admitted, ...]:
            rows = await connection.fetch(
                """SELECT v.id, v.traceparent FROM video_stages AS s JOIN video_queue AS v ON v.id = s.video_id
                    WHERE s.stage = $1 AND s.status = 'open' AND s.published_at IS NULL ORDER BY s.opened_at""",
                flow.FIRST.name,
            )
            return tuple(Admitted(row["id"], row["traceparent"]) for row in rows)

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

    async def counts(self) -> dict[str, int]:
        """Videos by status."""

        async def work(connection: Connection) -> dict[str, int]:
            rows = await connection.fetch("SELECT status, count(*) AS n FROM video_queue GROUP BY status")
            return {row["status"]: row["n"] for row in rows}

        return await self._postgres.run(work)

    async def mirrored(self) -> tuple[dict[str, float], set[str]]:
        """What the two queue keys in Redis should hold: queued videos with their priority, and those processing."""

        async def work(connection: Connection) -> tuple[dict[str, float], set[str]]:
            rows = await connection.fetch(
                "SELECT id, status, priority FROM video_queue WHERE status IN ('queued', 'processing')"
            )
            queued = {row["id"]: float(row["priority"]) for row in rows if row["status"] == "queued"}
            return queued, {row["id"] for row in rows if row["status"] == "processing"}

        return await self._postgres.run(work)

    async def find(self, video: str) -> VideoRow | None:
        """One video, or None."""
        found = await self._rows("WHERE id = $1", video)
        return found[0] if found else None

    async def latest(self, count: int) -> list[VideoRow]:
        """The newest videos first."""
        return await self._rows("ORDER BY created_at DESC LIMIT $1", count)

    async def _rows(self, clause: str, argument: str | int) -> list[VideoRow]:
        async def work(connection: Connection) -> list[VideoRow]:
            rows = await connection.fetch(
                f"SELECT id, status, priority, topic, created_at, ended_at, reason FROM video_queue {clause}",
                argument,
            )
            return [
                VideoRow(
                    row["id"],
                    row["status"],
                    row["priority"],
                    row["topic"],
                    row["created_at"],
                    row["ended_at"],
                    row["reason"] or "",
                )
                for row in rows
            ]

        return await self._postgres.run(work)

    async def stages(self, video: str) -> list[StageRow]:
        """The stages of one video in the order of the flow."""

        async def work(connection: Connection) -> list[StageRow]:
            rows = await connection.fetch(
                """SELECT stage, status, attempt, progress, error, started_at, ended_at
                     FROM video_stages WHERE video_id = $1""",
                video,
            )
            by_name = {
                row["stage"]: StageRow(
                    row["stage"],
                    row["status"],
                    row["attempt"],
                    row["progress"],
                    row["error"] or "",
                    row["started_at"],
                    row["ended_at"],
                )
                for row in rows
            }
            return [by_name[stage.name] for stage in flow.STAGES if stage.name in by_name]

        return await self._postgres.run(work)


def _new_id(now: datetime) -> str:
    """A name that sorts by day and can be typed, such as 261123-k3f9qz7m."""
    return f"{now:%y%m%d}-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))


def _count(command_tag: str) -> int:
    return int(command_tag.rsplit(" ", maxsplit=1)[-1])
