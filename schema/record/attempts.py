"""How an attempt ends: its row and its stage's are left together, by the attempt that holds the stage or not at all.

Statements for a transaction that somebody else has begun. Rows are locked stage first, then video, everywhere.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from schema import flow
from schema.events.fact import Fact, fact_id, stamp
from schema.record.postgres import Connection

#: An attempt: video, stage, and the number that is the fencing token.
Key: TypeAlias = tuple[str, str, int]

RENEW = """
UPDATE video_stages SET lease_until = now() + make_interval(secs => $4), progress = $5
 WHERE video_id = $1 AND stage = $2 AND attempt = $3 AND status = 'running' RETURNING true"""

_LEAVE = """
UPDATE video_stages SET status = $4, output = $5, error = $6, failures = failures + $7, lease_until = NULL,
       retry_at = CASE WHEN $8::double precision IS NULL THEN NULL ELSE now() + make_interval(secs => $8) END,
       progress = CASE WHEN $4 = 'done' THEN 1 ELSE progress END,
       ended_at = CASE WHEN $4 IN ('done', 'failed') THEN now() END
 WHERE video_id = $1 AND stage = $2 AND attempt = $3 AND status = 'running' RETURNING failures"""

_ATTEMPT_ENDS = """
UPDATE stage_attempts SET ended_at = now(), outcome = $4, error = $5
 WHERE video_id = $1 AND stage = $2 AND attempt = $3 AND outcome = 'running'"""

_HAS_LEFT = """
SELECT s.status = $4 FROM video_stages AS s JOIN stage_attempts AS a USING (video_id, stage, attempt)
 WHERE s.video_id = $1 AND s.stage = $2 AND s.attempt = $3 AND a.outcome = $5"""


async def leave(
    connection: Connection,
    key: Key,
    status: str,
    *,
    outcome: str,
    output: msgspec.Struct | None = None,
    error: str | None = None,
    attempt_error: str | None = None,
    failures: int = 0,
    delay_s: float | None = None,
) -> bool:
    """Leave the stage in `status`; False when this attempt no longer holds it."""
    left = await connection.fetchval(_LEAVE, *key, status, output, error, failures, delay_s)
    if left is None:
        # a repeated transaction whose first reply was lost has already left
        return bool(await connection.fetchval(_HAS_LEFT, *key, status, outcome))
    await end(connection, key, outcome, error or attempt_error)
    return True


async def end(connection: Connection, key: Key, outcome: str, error: str | None) -> None:
    """Note how a running attempt ended."""
    await connection.execute(_ATTEMPT_ENDS, *key, outcome, error)


async def end_failed(connection: Connection, key: Key, reason: str) -> Fact:
    """Fail the video of this attempt; what its other stages still do is dropped."""
    await drop(connection, key[0])
    row: Any = await connection.fetchrow(
        """UPDATE video_queue SET status = 'failed', ended_at = now(), reason = $2 WHERE id = $1
        RETURNING ended_at, traceparent""",
        *(key[0], reason),
    )
    return said(flow.FAILED_FACT, key, row["ended_at"], trace=row["traceparent"], reason=reason)


async def drop(connection: Connection, video: str) -> None:
    """Drop all stages of a video that are not over: whoever works on one is interrupted at its next renewal."""
    await connection.execute(
        """UPDATE video_stages SET status = 'dropped', lease_until = NULL, retry_at = NULL
            WHERE video_id = $1 AND status IN ('open', 'running', 'retrying')""",
        video,
    )
    await connection.execute(
        "UPDATE stage_attempts SET ended_at = now(), outcome = 'dropped' WHERE video_id = $1 AND outcome = 'running'",
        video,
    )


def said(type_: str, key: Key, at: datetime, *, trace: str, reason: str = "") -> Fact:
    """What this attempt says."""
    video, stage, attempt = key
    return Fact(
        type=type_,
        id=fact_id(video, stage, attempt),
        video=video,
        stage=stage,
        attempt=attempt,
        at=stamp(at),
        traceparent=trace,
        reason=reason,
    )
