"""The files that the record names: what each stage left, what was bought, and which of it work in hand still needs.

References are found in whatever document they stand in, so a stage that leaves a new kind of document is seen, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from schema import flow
from schema.documents import ArtifactRef
from schema.record.postgres import Connection, Postgres

_LIVE: Final = ("waiting", "queued", "processing")
_OUTPUTS: Final = """
SELECT v.id, v.status, s.stage, s.output FROM video_stages AS s JOIN video_queue AS v ON v.id = s.video_id
 WHERE s.status = 'done' AND (v.status <> 'completed' OR s.stage = $1) ORDER BY v.created_at DESC, v.id"""
_BOUGHT: Final = "SELECT artifacts FROM money.purchases WHERE state = 'bought' AND artifacts IS NOT NULL"
_LAST_FILMS: Final = """
SELECT s.output FROM video_queue AS v JOIN video_stages AS s ON s.video_id = v.id AND s.stage = $1
 WHERE v.status = 'completed' AND s.status = 'done' ORDER BY v.completed_at DESC LIMIT $2"""
_WORK: Final = """
SELECT id, status, coalesce(extract(epoch FROM now() - ended_at), 0)::double precision AS ended_s_ago
  FROM video_queue WHERE id = ANY($1)"""
# A completed film keeps its script and its verdict; what had files has lost them, and a retry makes it again.
_FORGET: Final = """
WITH ended AS (SELECT id, status FROM video_queue
                WHERE id = $1 AND status IN ('completed', 'failed', 'cancelled') AND ended_at IS NOT NULL FOR UPDATE),
forgotten AS (UPDATE video_stages AS s
                 SET status = 'dropped', output = NULL, progress = 0, started_at = NULL, ended_at = NULL
                FROM ended WHERE s.video_id = ended.id AND s.stage <> $2 AND s.status = 'done'
                 AND (ended.status <> 'completed' OR s.stage <> $3))
SELECT EXISTS (SELECT FROM ended) AS ended"""


class Belonging(msgspec.Struct, frozen=True):
    """A done stage's files; `live`: its video has not ended, so something may still read them."""

    video: str
    stage: str
    live: bool
    files: tuple[ArtifactRef, ...]


class WorkOf(msgspec.Struct, frozen=True):
    """How the video stands whose working files somebody asks about."""

    status: str
    ended_s_ago: float


class Belongings:
    """Reads which files there should be."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def of_stages(self) -> list[Belonging]:
        """What done stages left: all of videos that are not completed, the film of those that are; the latest first."""

        async def work(connection: Connection) -> list[Belonging]:
            rows = await connection.fetch(_OUTPUTS, flow.LAST.name)
            return [Belonging(row["id"], row["stage"], row["status"] in _LIVE, refs_in(row["output"])) for row in rows]

        return await self._postgres.run(work)

    async def bought(self) -> tuple[ArtifactRef, ...]:
        """Files of results that were paid for, which any video may come to use."""

        async def work(connection: Connection) -> tuple[ArtifactRef, ...]:
            rows = await connection.fetch(_BOUGHT)
            return tuple(ref for row in rows for ref in refs_in(row["artifacts"]))

        return await self._postgres.run(work)

    async def last_films(self, most: int) -> list[ArtifactRef]:
        """The films that were finished last."""

        async def work(connection: Connection) -> list[ArtifactRef]:
            rows = await connection.fetch(_LAST_FILMS, flow.LAST.name, most)
            return [ref for row in rows for ref in refs_in(row["output"])]

        return await self._postgres.run(work)

    async def work_of(self, videos: Iterable[str]) -> dict[str, WorkOf]:
        """How these videos stand; one that the record does not know is left out."""

        async def work(connection: Connection) -> dict[str, WorkOf]:
            rows = await connection.fetch(_WORK, list(videos))
            return {row["id"]: WorkOf(row["status"], row["ended_s_ago"]) for row in rows}

        return await self._postgres.run(work)

    async def forget_work(self, video: str) -> bool:
        """Say that the working files of an ended video are gone; False where it is in hand: they must stay."""
        row = await self._postgres.call(_FORGET, video, flow.FIRST.name, flow.LAST.name)
        return bool(row["ended"])


def to_do_again(stages: Iterable[Belonging], missing: frozenset[str]) -> list[tuple[str, str]]:
    """The stages of unfinished videos whose files are among the missing and are still read by a stage to come."""
    done: dict[str, set[str]] = {}
    hurt: list[tuple[str, str]] = []
    for one in stages:
        if one.live:
            done.setdefault(one.video, set()).add(one.stage)
            if any(ref.path in missing for ref in one.files):
                hurt.append((one.video, one.stage))
    # any later stage may look at the files of any earlier one (quality reads voice and plan): only the last one's own
    # end makes them needless, and then the video is not live
    return hurt


def refs_in(document: bytes) -> tuple[ArtifactRef, ...]:
    """Every reference to a stored file, wherever it stands in a document of JSON."""
    return tuple(_refs(msgspec.json.decode(document)))


def _refs(value: Any) -> Iterator[ArtifactRef]:  # noqa: ANN401 - JSON is anything
    match value:
        case {"path": str(path), "size_bytes": int(size_bytes), "sha256": str(sha256)}:
            yield ArtifactRef(path, size_bytes, sha256)
        case dict():
            for inner in value.values():
                yield from _refs(inner)
        case list():
            for inner in value:
                yield from _refs(inner)
