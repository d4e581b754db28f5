"""Finished films as integrity reads them again: those that were completed just now, and all others by turns.

The place of the turns is kept in the record, so that a restart goes on where it was.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import msgspec

from schema import flow
from schema.documents import ArtifactRef, Film, Verdict
from schema.record.postgres import Connection, Postgres

Document = TypeVar("Document", bound=msgspec.Struct)
_READER, _STREAM = "integrity", "films"
_RENDER = flow.STAGE["render"].name

_FILMS = """
SELECT v.id, v.ended_at, q.output AS verdict, r.output AS film
  FROM video_queue AS v
       JOIN video_stages AS q ON q.video_id = v.id AND q.stage = $1 AND q.status = 'done'
       LEFT JOIN video_stages AS r ON r.video_id = v.id AND r.stage = $2 AND r.status = 'done'
 WHERE v.status = 'completed' AND """
_NEW = f"{_FILMS} v.ended_at > $3 ORDER BY v.ended_at LIMIT $4"
_NEXT = f"{_FILMS} v.id > $3 ORDER BY v.id LIMIT 1"
_PLACE = "SELECT entry_id FROM cursors WHERE reader = $1 AND stream = $2"
_MOVE = """
INSERT INTO cursors (reader, stream, entry_id) VALUES ($1, $2, $3)
ON CONFLICT (reader, stream) DO UPDATE SET entry_id = excluded.entry_id"""


class Finished(msgspec.Struct, frozen=True):
    """A completed video, its film under its final name, and the working copy that it was made from."""

    video: str
    ended_at: datetime
    final: ArtifactRef | None
    working: ArtifactRef | None


class Films:
    """Reads which films there should be."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def now(self) -> datetime:
        """The record's clock."""
        found: datetime = (await self._postgres.call("SELECT now() AS now"))["now"]
        return found

    async def completed_after(self, since: datetime, *, most: int) -> list[Finished]:
        """The oldest that ended later than this."""

        async def work(connection: Connection) -> list[Finished]:
            rows = await connection.fetch(_NEW, flow.LAST.name, _RENDER, since, most)
            return [_finished(row["id"], row["ended_at"], row["verdict"], row["film"]) for row in rows]

        return await self._postgres.run(work)

    async def next(self) -> Finished | None:
        """The film whose turn it is; after the last one comes the first. None where there is none."""

        async def work(connection: Connection) -> Finished | None:
            place = await connection.fetchval(_PLACE, _READER, _STREAM) or ""
            row = await connection.fetchrow(_NEXT, flow.LAST.name, _RENDER, place)
            if row is None and place:
                row = await connection.fetchrow(_NEXT, flow.LAST.name, _RENDER, "")
            if row is None:
                return None
            await connection.execute(_MOVE, _READER, _STREAM, row["id"])
            return _finished(row["id"], row["ended_at"], row["verdict"], row["film"])

        return await self._postgres.run(work)


def _finished(video: str, ended_at: datetime, verdict: bytes, film: bytes | None) -> Finished:
    """What its documents name; one that cannot be read names nothing."""
    final, working = _read(verdict, Verdict), _read(film, Film)
    return Finished(video, ended_at, final.video if final else None, working.video if working else None)


def _read(text: bytes | None, kind: type[Document]) -> Document | None:
    try:
        return msgspec.json.decode(text, type=kind) if text is not None else None
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
