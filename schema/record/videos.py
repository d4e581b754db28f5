"""The videos as senders and operators know them: accepted once by key, then found, listed and counted.

`waiting` lies beyond the queue's capacity, `queued` may be admitted, `processing` is in hand. What moves them is in
`queue`, what their stages do in `claims`, and how an operator ends or repeats one in `endings`.
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

_WANTED = """
WHERE ($1::text[] = '{}' OR status = ANY($1))
  AND ($2::double precision IS NULL OR created_at < now() - make_interval(secs => $2))
  AND ($3 = '' OR strpos(lower(topic), lower($3)) > 0) AND ($4 = '' OR brief ->> 'style' = $4)
ORDER BY created_at DESC LIMIT $5"""

_WAITING = "SELECT count(*) FROM (SELECT FROM video_queue WHERE status = 'waiting' LIMIT $1) AS counted"

_AHEAD = f"""
SELECT count(*) FROM (
    SELECT 1 FROM video_queue WHERE status IN ('queued', 'waiting')
       AND (priority > $1 OR (priority = $1 AND created_at < $2)) LIMIT {_PLACES_COUNTED}) AS ahead"""


class Accepted(msgspec.Struct, frozen=True):
    """The answer to a request: `place` counts from 1 and stops at 1001; `created` is False for a key met before."""

    video: str
    status: str
    place: int
    created: bool


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which videos: those to which all of this applies; what is empty applies to all."""

    statuses: tuple[str, ...] = ()
    #: Accepted longer ago than this.
    older_than_s: float | None = None
    #: Words of the topic, in any case; and the style by name.
    topic: str = ""
    style: str = ""


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

    async def known(self, key: str) -> bool:
        """Whether a request with this key is in the record."""

        async def work(connection: Connection) -> bool:
            return bool(await connection.fetchval("SELECT EXISTS (SELECT 1 FROM video_queue WHERE key = $1)", key))

        return await self._postgres.run(work)

    async def waiting(self, *, most: int) -> int:
        """How many videos wait beyond the queue, counted up to `most`, in the index of those that wait."""

        async def work(connection: Connection) -> int:
            return int(await connection.fetchval(_WAITING, most))

        return await self._postgres.run(work)

    async def counts(self) -> dict[str, int]:
        """Videos by status."""

        async def work(connection: Connection) -> dict[str, int]:
            rows = await connection.fetch("SELECT status, count(*) AS n FROM video_queue GROUP BY status")
            return {row["status"]: row["n"] for row in rows}

        return await self._postgres.run(work)

    async def find(self, video: str) -> VideoRow | None:
        """One video, or None."""
        found = await self._rows("WHERE id = $1", video)
        return found[0] if found else None

    async def latest(self, count: int) -> list[VideoRow]:
        """The newest videos first."""
        return await self._rows("ORDER BY created_at DESC LIMIT $1", count)

    async def wanted(self, wanted: Wanted, *, most: int) -> list[VideoRow]:
        """The videos that somebody asks about, the newest first, up to `most`."""
        asked = (list(wanted.statuses), wanted.older_than_s, wanted.topic, wanted.style)
        return await self._rows(_WANTED, *asked, most)

    async def _rows(self, clause: str, *arguments: object) -> list[VideoRow]:
        async def work(connection: Connection) -> list[VideoRow]:
            rows = await connection.fetch(
                f"SELECT id, status, priority, topic, created_at, ended_at, reason FROM video_queue {clause}",
                *arguments,
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
