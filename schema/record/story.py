"""What happened lately, as the record has it: commands, accepted and ended videos, attempts that went wrong, refusals.

Each kind is bounded, the latest first; attempts that went well are in the ends of their videos. What guardians said is
in stream:notices alone, and is not here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from schema.record.postgres import Connection, Postgres

_COMMANDS: Final = """
SELECT applied_at AS at, by AS who, verb || coalesce(' refused: ' || error, '') AS what, '' AS video, reason AS why
  FROM control_log WHERE applied_at > now() - make_interval(secs => $1) ORDER BY applied_at DESC LIMIT $2"""

_ACCEPTED: Final = """
SELECT created_at AS at, 'intake' AS who, 'accepted' AS what, id AS video, topic AS why
  FROM video_queue WHERE created_at > now() - make_interval(secs => $1) ORDER BY created_at DESC LIMIT $2"""

_ENDED: Final = """
SELECT ended_at AS at, 'factory' AS who, status AS what, id AS video, coalesce(reason, '') AS why
  FROM video_queue WHERE ended_at > now() - make_interval(secs => $1) ORDER BY ended_at DESC LIMIT $2"""

_ATTEMPTS: Final = """
SELECT ended_at AS at, worker AS who, stage || ' attempt ' || attempt || ' ' || outcome AS what, video_id AS video,
       coalesce(error, '') AS why
  FROM stage_attempts WHERE ended_at > now() - make_interval(secs => $1)
   AND outcome IN ('retried', 'failed', 'crashed', 'timed_out') ORDER BY ended_at DESC LIMIT $2"""

_REFUSED: Final = """
SELECT at, from_stream AS who, CASE kind WHEN 'dead' THEN 'dead letter ' ELSE 'rejected ' END || from_id AS what,
       '' AS video, error AS why
  FROM refused_events WHERE at > now() - make_interval(secs => $1) ORDER BY at DESC LIMIT $2"""


class Event(msgspec.Struct, frozen=True):
    """One thing that happened: `who` did `what` (to a video, where one is named), and why."""

    at: datetime
    who: str
    what: str
    video: str = ""
    why: str = ""


class Story(msgspec.Struct, frozen=True):
    """The latest events in order of time; `left_out` says that there were more."""

    events: tuple[Event, ...]
    left_out: bool


class Stories:
    """Reads what happened."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def since(self, seconds: float, *, most: int) -> Story:
        """What happened within the last `seconds`: the `most` latest events."""

        async def work(connection: Connection) -> list[Event]:
            found: list[Event] = []
            for sql in (_COMMANDS, _ACCEPTED, _ENDED, _ATTEMPTS, _REFUSED):
                rows = await connection.fetch(sql, seconds, most + 1)
                found += [Event(**dict(row)) for row in rows]
            return found

        return told(await self._postgres.run(work), most=most)


def told(events: list[Event], *, most: int) -> Story:
    """The latest of these, in order of time; what happened at one instant stays in the order it was given."""
    in_order = sorted(events, key=lambda event: event.at)
    return Story(tuple(in_order[-most:]), left_out=len(in_order) > most)
