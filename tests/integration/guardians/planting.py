"""What tests of the integrity guardian plant, on a database as an old dump would leave it, and what it said."""

from __future__ import annotations

from typing import TypeAlias

import asyncpg

from schema import flow
from schema.settings.limits import Limits
from tests.integration.guardians.conftest import notices
from tests.integration.streams.workers import Server

Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
#: Every tick looks at everything.
LIMITS = Limits(audit_s=1e-6, full_audit_s=1e-6, film_check_s=1e-6)


async def plant(owner: Owner, status: str, stages: str = "", *, video: str = "v", timed: bool = True) -> None:
    """A video with this status; `stages` are five words, one a stage, or nothing."""
    ended = "now()" if timed and status in ("completed", "failed", "cancelled") else "NULL"
    completed = ended if status == "completed" else "NULL"
    await owner.execute(
        f"""INSERT INTO video_queue (id, key, topic, brief, status, completed_at, ended_at)
            VALUES ($1, $1, 't', '{{"topic": "t"}}', $2, {completed}, {ended})""",  # noqa: S608 - one of two words
        *(video, status),
    )
    for stage, word in zip(flow.STAGES, stages.split(), strict=False):
        await owner.execute(
            """INSERT INTO video_stages (video_id, stage, status, attempt, output, ended_at, error, lease_until)
               VALUES ($1, $2, $3, 1, CASE WHEN $3 = 'done' THEN '{}'::jsonb END,
                       CASE WHEN $3 IN ('done', 'failed') THEN now() - interval '1 h' END,
                       CASE WHEN $3 = 'failed' THEN 'it went wrong' END,
                       CASE WHEN $3 = 'running' THEN now() + interval '1 h' END)""",
            *(video, stage.name, word),
        )


async def status(owner: Owner, video: str = "v") -> str:
    return str(await owner.fetchval("SELECT status FROM video_queue WHERE id = $1", video))


def said(server: Server, type_: str = "integrity.") -> list[tuple[str, str]]:
    """But for the queue keys: there is no dispatch here that writes them."""
    found = [(notice["type"], notice["cause"]) for notice in notices(server, type_)]
    return [words for words in found if words[1] != "queue_keys"]
