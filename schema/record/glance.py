"""What the factory has in hand at this moment, and the whole story of one video: what a person looks at.

The look costs what is in hand, not what there ever was. Documents of stages come as they are stored, undecoded.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from schema.record.postgres import Connection, Postgres

_LOADS: Final = """
SELECT stage, status, count(*) AS n FROM video_stages
 WHERE status IN ('open', 'running', 'retrying') GROUP BY stage, status"""

_IN_HAND: Final = """
SELECT v.id AS video, v.topic, v.status, v.priority, v.created_at, v.processing_started_at AS since,
       coalesce(m.spent, 0) AS spent_usd,
       coalesce((SELECT json_object_agg(s.stage, json_build_object('status', s.status, 'progress', s.progress,
                                                                  'attempt', s.attempt))
                   FROM video_stages AS s WHERE s.video_id = v.id), '{}')::text AS stages
  FROM video_queue AS v LEFT JOIN money.videos AS m ON m.video_id = v.id
 WHERE v.status = $1 ORDER BY v.priority DESC, v.created_at LIMIT $2"""

_UNKNOWN: Final = "SELECT count(*) AS n, now() AS at FROM money.reservations WHERE state = 'unknown'"

_VIDEO: Final = """
SELECT id AS video, key, status, priority, topic, brief::text AS brief, created_at, processing_started_at,
       ended_at, coalesce(reason, '') AS reason,
       coalesce((SELECT json_object_agg(stage, output) FROM video_stages
                  WHERE video_id = $1 AND output IS NOT NULL), '{}')::text AS documents
  FROM video_queue WHERE id = $1"""

_ATTEMPTS: Final = """
SELECT stage, attempt, worker, started_at, ended_at, outcome, coalesce(error, '') AS error
  FROM stage_attempts WHERE video_id = $1 ORDER BY started_at, stage LIMIT $2"""

_COMMANDS: Final = """
SELECT applied_at AS at, verb, by, reason FROM control_log
 WHERE applied_at >= $1 AND ($2::timestamptz IS NULL OR applied_at <= $2) ORDER BY applied_at LIMIT $3"""


class Progress(msgspec.Struct, frozen=True):
    """Where a stage of a video is; `progress` is 0 to 1."""

    status: str
    progress: float
    attempt: int


class InHand(msgspec.Struct, frozen=True):
    """A video that is queued or processed."""

    video: str
    topic: str
    status: str
    priority: int
    created_at: datetime
    since: datetime | None
    spent_usd: Decimal
    stages: dict[str, Progress]


class Seen(msgspec.Struct, frozen=True):
    """One look: how many of each stage and status, and the first videos in hand and in the queue."""

    at: datetime
    loads: dict[tuple[str, str], int]
    in_hand: tuple[InHand, ...]
    queued: tuple[InHand, ...]
    #: Calls of which nobody knows whether they were billed.
    unknown_calls: int


class Attempt(msgspec.Struct, frozen=True):
    """One attempt of a stage."""

    stage: str
    attempt: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    error: str


class Told(msgspec.Struct, frozen=True):
    """A command that was given while the video was there."""

    at: datetime
    verb: str
    by: str
    reason: str


class Biography(msgspec.Struct, frozen=True):
    """All that the record has of one video."""

    video: str
    key: str
    status: str
    priority: int
    topic: str
    brief: msgspec.Raw
    created_at: datetime
    processing_started_at: datetime | None
    ended_at: datetime | None
    reason: str
    #: What each finished stage left, by stage, as stored.
    documents: dict[str, msgspec.Raw]
    attempts: tuple[Attempt, ...] = ()
    commands: tuple[Told, ...] = ()


class Glance:
    """Reads both."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def look(self, *, most: int) -> Seen:
        """What is in hand now, and the first `most` of the queue."""

        async def work(connection: Connection) -> Seen:
            loads = {(row["stage"], row["status"]): row["n"] for row in await connection.fetch(_LOADS)}
            in_hand, queued = [
                tuple([_in_hand(dict(row)) for row in await connection.fetch(_IN_HAND, status, most)])
                for status in ("processing", "queued")
            ]
            unknown = await connection.fetchrow(_UNKNOWN)
            assert unknown is not None  # noqa: S101 - an aggregate has a row
            return Seen(unknown["at"], loads, in_hand, queued, unknown["n"])

        return await self._postgres.run(work)

    async def biography(self, video: str, *, most: int = 500) -> Biography | None:
        """One video with its attempts, and the commands given in its time, up to `most` of each; None: unknown."""

        async def work(connection: Connection) -> Biography | None:
            row = await connection.fetchrow(_VIDEO, video)
            if row is None:
                return None
            attempts = [Attempt(**dict(one)) for one in await connection.fetch(_ATTEMPTS, video, most)]
            told = await connection.fetch(_COMMANDS, row["created_at"], row["ended_at"], most)
            fields = dict(row) | {
                "brief": msgspec.Raw(row["brief"].encode()),
                "documents": msgspec.json.decode(row["documents"], type=dict[str, msgspec.Raw]),
            }
            return Biography(**fields, attempts=tuple(attempts), commands=tuple(Told(**dict(one)) for one in told))

        return await self._postgres.run(work)


def _in_hand(fields: dict[str, object]) -> InHand:
    stages = msgspec.json.decode(str(fields.pop("stages")), type=dict[str, Progress])
    return InHand(**fields, stages=stages)  # type: ignore[arg-type]  # the columns are named after the fields
