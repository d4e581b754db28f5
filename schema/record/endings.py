"""How an operator ends a video, or takes its end back.

A cancelled video's attempts find out at their next renewal and stop at their next checkpoint; nothing they do is kept.
A video that is taken up again waits for its turn like any other and goes on at its first stage that is not done. Rows
are locked stage first, then video, as everywhere; what admission opens meanwhile is met once the video is locked.
"""

from __future__ import annotations

from typing import Any, NoReturn

import asyncpg
import msgspec

from schema import flow, wire
from schema.errors import RefusedError
from schema.events import command as commands
from schema.events.command import Command
from schema.record import attempts
from schema.record.announcements import announce
from schema.record.postgres import Connection

ENDED = ("completed", "failed", "cancelled")
RETRIED = "video.retried"
#: How long a row that somebody else has locked is waited for: no command may stand in the way of those after it.
_LOCK_WAIT = "200ms"

_LOCK_STAGES = "SELECT stage, status FROM video_stages WHERE video_id = $1 ORDER BY stage FOR UPDATE"
_LOCK_VIDEO = "SELECT status, traceparent FROM video_queue WHERE id = $1 FOR UPDATE"

_CANCEL = """
UPDATE video_queue SET status = 'cancelled', ended_at = now(), reason = $2 WHERE id = $1"""

_REOPEN = """
UPDATE video_queue SET status = 'waiting', processing_started_at = NULL, completed_at = NULL, ended_at = NULL,
       reason = NULL WHERE id = $1"""

# Admission opens what is dropped.
_DISCARD = """
UPDATE video_stages SET status = 'dropped', failures = 0, crashes = 0, error = NULL, output = NULL, progress = 0,
       started_at = NULL, ended_at = NULL, retry_at = NULL, lease_until = NULL, take = take + $3
 WHERE video_id = $1 AND stage = ANY($2)"""


async def cancel(connection: Connection, command: Command) -> str:
    """End a video that has not ended; raises RefusedError for any other."""
    status, trace, _ = await _locked(connection, command)
    if status in ENDED:
        raise RefusedError(f"{command.video} has ended already: it is {status}", hint="./ytempire videos")
    await attempts.drop(connection, command.video)
    reason = f"cancelled by {command.by}" + (f": {command.reason}" if command.reason else "")
    await connection.execute(_CANCEL, command.video, reason)
    await announce(
        connection, flow.CANCELLED_FACT, by=command.by, reason=reason, video=command.video, traceparent=trace
    )
    return f"{command.video} is cancelled"


async def retry(connection: Connection, command: Command) -> str:
    """Take up a video that has ended; raises RefusedError for any other."""
    status, trace, stages = await _locked(connection, command)
    if status not in ENDED:
        _refuse_running(command, status)
    if status == "completed" and not command.from_stage:
        right = msgspec.structs.replace(command, from_stage="render")
        message = f"{command.video} is completed: say from which stage it is to be made again"
        raise RefusedError(message, hint=commands.line(right))
    undone = {name for name in flow.STAGE if stages.get(name, "done") != "done"}
    again = {other.name for name in undone for other in flow.onward(flow.STAGE[name])}
    if command.from_stage:
        again |= {other.name for other in flow.onward(flow.STAGE[command.from_stage])}
    fresh = 1 if command.fresh == "yes" else 0
    await connection.execute(_DISCARD, command.video, list(again), fresh)
    await connection.execute(_REOPEN, command.video)
    await announce(connection, RETRIED, by=command.by, reason=command.reason, video=command.video, traceparent=trace)
    first = next((stage.name for stage in flow.STAGES if stage.name in again), flow.FIRST.name)
    return f"{command.video} goes on at {first}" + (", with a fresh take" if fresh else "")


async def _locked(connection: Connection, command: Command) -> tuple[str, str, dict[str, str]]:
    """The video's status, trace and stages, locked; raises RefusedError when it is unknown, or locked by others."""
    try:
        await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
        stages = {row["stage"]: row["status"] for row in await connection.fetch(_LOCK_STAGES, command.video)}
        video: Any = await connection.fetchrow(_LOCK_VIDEO, command.video)
        await connection.execute("SET LOCAL lock_timeout TO DEFAULT")
    except asyncpg.LockNotAvailableError:
        message = f"the rows of {command.video} are locked by another session of Postgres: nothing was changed"
        raise RefusedError(message, hint=commands.line(command)) from None
    if video is None:
        raise RefusedError(f"there is no video {wire.shown(command.video)}", hint="./ytempire videos")
    return video["status"], video["traceparent"], stages


def _refuse_running(command: Command, status: str) -> NoReturn:
    stop = Command("cancel", reason="to retry it", video=command.video)
    message = f"{command.video} is {status}: only a video that has ended can be retried; wait for that, or cancel it"
    raise RefusedError(message, hint=commands.line(stop))
