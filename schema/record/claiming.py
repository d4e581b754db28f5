"""How an attempt begins: what an entry's event asks for, and the answer that the record gives.

The lease in the record is the one that decides. Everything here happens in one transaction with the stage's row locked.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Literal, TypeVar

import asyncpg
import msgspec

from schema import flow
from schema.documents import Brief
from schema.events.fact import Fact
from schema.record import attempts, standing
from schema.record.postgres import Connection

Document = TypeVar("Document")
_INPUTS_DONE = "SELECT stage, status, output FROM video_stages WHERE video_id = $1 AND stage = ANY($2)"

_LOOK = """
SELECT s.*, v.brief, v.traceparent,
       extract(epoch FROM s.lease_until - now())::double precision AS lease_left_s,
       extract(epoch FROM now() - pg_postmaster_start_time())::double precision AS server_up_s,
       coalesce(s.retry_at > now(), false) AS retry_pending
  FROM video_stages AS s JOIN video_queue AS v ON v.id = s.video_id
 WHERE s.video_id = $1 AND s.stage = $2 FOR UPDATE OF s"""

_TAKE = """
UPDATE video_stages SET status = 'running', attempt = attempt + 1, crashes = $3, claim_id = $4, worker = $5, entry = $6,
       lease_until = now() + make_interval(secs => $7), retry_at = NULL, progress = 0, error = NULL,
       started_at = now(), ended_at = NULL
 WHERE video_id = $1 AND stage = $2 RETURNING attempt"""


_RUNNING_HERE = """
SELECT count(*) FROM video_stages WHERE stage = $1 AND status = 'running' AND lease_until > now()
   AND regexp_replace(worker, '(-[^-]*){3}$', '') = $2"""


class Claim(msgspec.Struct, frozen=True):
    """The right to work on a stage, and what it works from; `attempt` is the fencing token."""

    video: str
    stage: str
    attempt: int
    failures: int
    brief: Brief
    inputs: dict[str, bytes]
    traceparent: str
    #: Raised by a fresh retry: with another take, the same input may be bought again.
    take: int = 0

    def input(self, stage: str, kind: type[Document]) -> Document:
        """What `stage` left for this one."""
        return msgspec.json.decode(self.inputs[stage], type=kind)


class Held(msgspec.Struct, frozen=True):
    """Another attempt is alive: `same_entry` tells whether it works on this very entry, by `worker`."""

    worker: str
    same_entry: bool
    lease_left_s: float


class AlreadyDone(msgspec.Struct, frozen=True):
    """The stage is done; `fact` says so again.

    It is wanted only when a stage that waits for it is not done. What the last stage says is wanted where this very
    entry comes again: whoever worked on it may have died before he said it.
    """

    fact: Fact
    wanted: bool


class FailedBefore(msgspec.Struct, frozen=True):
    """This very entry has failed its video, and comes again: whoever worked on it may have died before he said it."""

    fact: Fact


class NothingToDo(msgspec.Struct, frozen=True):
    """The event asks for no work now; `why` is for the log."""

    why: Literal["unknown video", "video has ended", "inputs are not done", "retry is not due"]


class CrashLoop(msgspec.Struct, frozen=True):
    """Attempts of this stage keep dying with their process: it was failed."""

    facts: tuple[Fact, ...]
    crashes: int


class Throttled(msgspec.Struct, frozen=True):
    """As many of these jobs run on this host as may, `jobs`; the entry comes again later."""

    jobs: int


NoWork = Throttled | Held | AlreadyDone | FailedBefore | NothingToDo | CrashLoop
Answer = Claim | NoWork


class Worker(msgspec.Struct, frozen=True):
    """Who claims, for how long, and how often an attempt may die with its process; `host` is where it runs."""

    name: str
    host: str
    lease_s: float
    max_crashes: int
    #: Whether the process of another worker is gone for certain: then its lease is not waited for.
    surely_dead: Callable[[str], bool]


class Asked(msgspec.Struct, frozen=True):
    """One entry's wish: `delayed` when it comes from the lane of retries, `claim_id` the token of this very call.

    `again` when it was delivered before, without an end.
    """

    video: str
    stage: flow.Stage
    entry: str
    delayed: bool
    again: bool
    claim_id: uuid.UUID
    #: Seconds since this process last found Postgres away.
    steady_for_s: float


async def begin(connection: Connection, worker: Worker, asked: Asked) -> Answer:
    """Claim the stage for this worker, or say why not."""
    video, stage = asked.video, asked.stage
    row = await connection.fetchrow(_LOOK, video, stage.name)
    if row is None:
        return NothingToDo("unknown video")
    if row["status"] == "running" and row["claim_id"] == asked.claim_id:  # our own, its reply was lost
        return await _claimed(connection, row, row["attempt"])
    if (answer := await _not_ours(connection, row, worker, asked)) is not None:
        return answer
    crashes = row["crashes"] + (row["status"] == "running")
    if row["status"] == "running":
        await attempts.end(connection, (video, stage.name, row["attempt"]), "crashed", None)
    if crashes > worker.max_crashes:
        return await _crash_loop(connection, row, crashes)
    attempt = await connection.fetchval(
        _TAKE, video, stage.name, crashes, asked.claim_id, worker.name, asked.entry, worker.lease_s
    )
    await connection.execute(
        "INSERT INTO stage_attempts (video_id, stage, attempt, worker) VALUES ($1, $2, $3, $4)",
        *(video, stage.name, attempt, worker.name),
    )
    return await _claimed(connection, row, attempt)


async def _crash_loop(connection: Connection, row: asyncpg.Record, crashes: int) -> CrashLoop:
    video, stage, attempt = row["video_id"], row["stage"], row["attempt"]
    reason = f"{stage} died with its process {crashes} times"
    await connection.execute(
        """UPDATE video_stages SET status = 'failed', crashes = $3, error = $4, ended_at = now(),
                  lease_until = NULL WHERE video_id = $1 AND stage = $2""",
        *(video, stage, crashes, reason),
    )
    return CrashLoop((await attempts.end_failed(connection, (video, stage, attempt), reason),), crashes)


async def _not_ours(connection: Connection, row: asyncpg.Record, worker: Worker, asked: Asked) -> Answer | None:
    """Why there is no work in this entry, or None when there is."""
    if row["status"] == "done":
        return await _done(connection, row, asked)
    if row["status"] == "failed" and _comes_again(row, asked):
        return await _failed(connection, row)
    if row["status"] in ("failed", "dropped"):
        return NothingToDo("video has ended")
    if row["status"] == "running":
        steady_s = min(row["server_up_s"], asked.steady_for_s)
        left_s = max(row["lease_left_s"], worker.lease_s - steady_s)
        if left_s > 0 and not worker.surely_dead(row["worker"]):
            return Held(row["worker"], row["entry"] == asked.entry, left_s)
    if row["status"] == "retrying" and row["retry_pending"] and not asked.delayed:
        return NothingToDo("retry is not due")
    inputs = await connection.fetch(_INPUTS_DONE, asked.video, list(asked.stage.inputs))
    if any(other["status"] != "done" for other in inputs):
        return NothingToDo("inputs are not done")
    return await _throttled(connection, worker, asked.stage) if asked.stage.throttled else None


def _comes_again(row: asyncpg.Record, asked: Asked) -> bool:
    """Whether this is the entry that the last attempt worked on; one whose end was told is never delivered again.

    Save where a group was made anew, which delivers all of its stream for the first time.
    """
    return asked.again and bool(row["entry"] == asked.entry)


async def _failed(connection: Connection, row: asyncpg.Record) -> FailedBefore:
    said = await connection.fetchrow("SELECT ended_at, reason FROM video_queue WHERE id = $1", row["video_id"])
    assert said is not None  # noqa: S101 - its stage refers to it
    key = (row["video_id"], row["stage"], row["attempt"])
    at, reason = said["ended_at"] or row["ended_at"], said["reason"] or row["error"] or ""
    return FailedBefore(attempts.said(flow.FAILED_FACT, key, at, trace=row["traceparent"], reason=reason))


async def _done(connection: Connection, row: asyncpg.Record, asked: Asked) -> AlreadyDone:
    stage = asked.stage
    waiting = [other.name for other in flow.dependents(stage)]
    count = await connection.fetchval(
        "SELECT count(*) FROM video_stages WHERE video_id = $1 AND stage = ANY($2) AND status <> 'done'",
        *(row["video_id"], waiting),
    )
    wanted = count > 0 or (stage == flow.LAST and _comes_again(row, asked))
    key = (row["video_id"], stage.name, row["attempt"])
    return AlreadyDone(attempts.said(stage.fact, key, row["ended_at"], trace=row["traceparent"]), wanted=wanted)


async def _throttled(connection: Connection, worker: Worker, stage: flow.Stage) -> Throttled | None:
    """Whether this host already runs as many of these jobs as a throttle allows; those that ask take turns."""
    jobs = standing.jobs_allowed(await standing.orders(connection), worker.host)
    if jobs is None:
        return None
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('ytempire throttle ' || $1))", worker.host)
    running = await connection.fetchval(_RUNNING_HERE, stage.name, worker.host)
    return Throttled(jobs) if running >= jobs else None


async def _claimed(connection: Connection, row: asyncpg.Record, attempt: int) -> Claim:
    stage = flow.STAGE[row["stage"]]
    # a stage may need what any earlier stage left, not only its direct inputs
    earlier = [other.name for other in flow.STAGES if other.name != stage.name]
    outputs = await connection.fetch(_INPUTS_DONE, row["video_id"], earlier)
    return Claim(
        video=row["video_id"],
        stage=stage.name,
        attempt=attempt,
        failures=row["failures"],
        brief=msgspec.json.decode(row["brief"], type=Brief),
        inputs={other["stage"]: other["output"] for other in outputs if other["status"] == "done"},
        traceparent=row["traceparent"],
        take=row["take"],
    )
