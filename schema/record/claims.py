"""A stage's row: claimed with a lease and an attempt number, renewed, and committed only by the attempt that holds it.

The lease in the record is the one that decides. A zombie that wakes up late finds a newer attempt and commits nothing;
what it did is thrown away. Rows are locked stage first, then video, everywhere.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Literal, TypeVar

import asyncpg
import msgspec

from schema import flow
from schema.documents import Brief
from schema.events.fact import Fact, fact_id, stamp
from schema.record.postgres import Connection, Postgres, storable

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

_RENEW = """
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


class Claim(msgspec.Struct, frozen=True):
    """The right to work on a stage, and what it works from; `attempt` is the fencing token."""

    video: str
    stage: str
    attempt: int
    failures: int
    brief: Brief
    inputs: dict[str, bytes]
    traceparent: str

    def input(self, stage: str, kind: type[Document]) -> Document:
        """What `stage` left for this one."""
        return msgspec.json.decode(self.inputs[stage], type=kind)


class Held(msgspec.Struct, frozen=True):
    """Another attempt is alive: `same_entry` tells whether it works on this very entry, by `worker`."""

    worker: str
    same_entry: bool
    lease_left_s: float


class AlreadyDone(msgspec.Struct, frozen=True):
    """The stage is done; `fact` says so again, and is wanted only when a stage that waits for it is not done."""

    fact: Fact
    wanted: bool


class NothingToDo(msgspec.Struct, frozen=True):
    """The event asks for no work now; `why` is for the log."""

    why: Literal["unknown video", "video has ended", "inputs are not done", "retry is not due"]


class CrashLoop(msgspec.Struct, frozen=True):
    """Attempts of this stage keep dying with their process: it was failed."""

    facts: tuple[Fact, ...]
    crashes: int


NoWork = Held | AlreadyDone | NothingToDo | CrashLoop
Answer = Claim | NoWork


class Claims:
    """The rows of video_stages, for the process `worker`."""

    def __init__(self, postgres: Postgres, *, worker: str, lease_s: float, max_crashes: int) -> None:
        self._postgres, self._worker = postgres, worker
        self._lease_s, self._max_crashes = lease_s, max_crashes

    async def claim(self, video: str, stage: flow.Stage, *, entry: str, delayed: bool) -> Answer:
        """Ask for the work that an entry speaks of; `delayed` when it comes from the lane of retries."""
        claim_id = uuid.uuid4()

        async def work(connection: Connection) -> Answer:
            row = await connection.fetchrow(_LOOK, video, stage.name)
            if row is None:
                return NothingToDo("unknown video")
            if row["status"] == "running" and row["claim_id"] == claim_id:  # our own, its reply was lost
                return await self._claimed(connection, row, row["attempt"])
            if (answer := await self._not_ours(connection, row, stage, entry=entry, delayed=delayed)) is not None:
                return answer
            crashes = row["crashes"] + (row["status"] == "running")
            if row["status"] == "running":
                await connection.execute(_ATTEMPT_ENDS, video, stage.name, row["attempt"], "crashed", None)
            if crashes > self._max_crashes:
                reason = f"{stage.name} died with its process {crashes} times"
                await connection.execute(
                    """UPDATE video_stages SET status = 'failed', crashes = $3, error = $4, ended_at = now(),
                              lease_until = NULL WHERE video_id = $1 AND stage = $2""",
                    *(video, stage.name, crashes, reason),
                )
                return CrashLoop((await _end_failed(connection, video, stage.name, row["attempt"], reason),), crashes)
            attempt = await connection.fetchval(
                _TAKE, video, stage.name, crashes, claim_id, self._worker, entry, self._lease_s
            )
            await connection.execute(
                "INSERT INTO stage_attempts (video_id, stage, attempt, worker) VALUES ($1, $2, $3, $4)",
                *(video, stage.name, attempt, self._worker),
            )
            return await self._claimed(connection, row, attempt)

        return await self._postgres.run(work)

    async def _not_ours(
        self, connection: Connection, row: asyncpg.Record, stage: flow.Stage, *, entry: str, delayed: bool
    ) -> Answer | None:
        """Why there is no work in this entry, or None when there is."""
        video = row["video_id"]
        if row["status"] == "done":
            waiting = [other.name for other in flow.dependents(stage)]
            wanted = await connection.fetchval(
                "SELECT count(*) FROM video_stages WHERE video_id = $1 AND stage = ANY($2) AND status <> 'done'",
                *(video, waiting),
            )
            fact = _fact(stage.fact, video, stage.name, row["attempt"], row["ended_at"], trace=row["traceparent"])
            return AlreadyDone(fact, wanted=wanted > 0)
        if row["status"] in ("failed", "dropped"):
            return NothingToDo("video has ended")
        if row["status"] == "running":
            steady_s = min(row["server_up_s"], self._postgres.steady_for_s())
            left_s = max(row["lease_left_s"], self._lease_s - steady_s)
            if left_s > 0:
                return Held(row["worker"], row["entry"] == entry, left_s)
        if row["status"] == "retrying" and row["retry_pending"] and not delayed:
            return NothingToDo("retry is not due")
        inputs = await connection.fetch(_INPUTS_DONE, video, list(stage.inputs))
        if any(other["status"] != "done" for other in inputs):
            return NothingToDo("inputs are not done")
        return None

    async def _claimed(self, connection: Connection, row: asyncpg.Record, attempt: int) -> Claim:
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
        )

    async def renew(self, claim: Claim, progress: float) -> bool:
        """Renew the lease; False when this attempt no longer holds the stage."""

        async def work(connection: Connection) -> bool:
            held = await connection.fetchval(
                _RENEW, claim.video, claim.stage, claim.attempt, self._lease_s, min(max(progress, 0.0), 1.0)
            )
            return bool(held)

        return await self._postgres.run(work)

    async def commit(self, claim: Claim, output: msgspec.Struct) -> Fact | None:
        """Commit the result; the last stage completes the video. None when this attempt no longer holds the stage."""
        stage = flow.STAGE[claim.stage]

        async def work(connection: Connection) -> Fact | None:
            if not await self._leave(connection, claim, "done", outcome="done", output=output):
                return None
            if stage == flow.LAST:
                await connection.execute(
                    """UPDATE video_queue SET status = 'completed', completed_at = now(), ended_at = now()
                        WHERE id = $1""",
                    claim.video,
                )
            now = await connection.fetchval("SELECT now()")
            return _fact(stage.fact, claim.video, stage.name, claim.attempt, now, trace=claim.traceparent)

        return await self._postgres.run(work)

    async def fail(self, claim: Claim, reason: str) -> Fact | None:
        """Fail the stage and its video with `reason`; what other stages still do is dropped."""
        reason = storable(reason)

        async def work(connection: Connection) -> Fact | None:
            if not await self._leave(connection, claim, "failed", outcome="failed", error=reason):
                return None
            return await _end_failed(connection, claim.video, claim.stage, claim.attempt, reason)

        return await self._postgres.run(work)

    async def retry_later(self, claim: Claim, reason: str, delay_s: float) -> bool:
        """Give the stage back to be tried again after `delay_s`; counts one failure."""

        async def work(connection: Connection) -> bool:
            return await self._leave(
                connection, claim, "retrying", outcome="retried", error=storable(reason), failures=1, delay_s=delay_s
            )

        return await self._postgres.run(work)

    async def release(self, claim: Claim, reason: str) -> bool:
        """Give the stage back as if it had not been started: halted, or told to stop. Counts nothing."""

        async def work(connection: Connection) -> bool:
            return await self._leave(connection, claim, "open", outcome="released", attempt_error=reason)

        return await self._postgres.run(work)

    async def _leave(
        self,
        connection: Connection,
        claim: Claim,
        status: str,
        *,
        outcome: str,
        output: msgspec.Struct | None = None,
        error: str | None = None,
        attempt_error: str | None = None,
        failures: int = 0,
        delay_s: float | None = None,
    ) -> bool:
        key = (claim.video, claim.stage, claim.attempt)
        left = await connection.fetchval(_LEAVE, *key, status, output, error, failures, delay_s)
        if left is None:
            # a repeated transaction whose first reply was lost has already left
            return bool(
                await connection.fetchval(
                    """SELECT s.status = $4 FROM video_stages AS s JOIN stage_attempts AS a
                            USING (video_id, stage, attempt)
                        WHERE s.video_id = $1 AND s.stage = $2 AND s.attempt = $3 AND a.outcome = $5""",
                    *(*key, status, outcome),
                )
            )
        await connection.execute(_ATTEMPT_ENDS, *key, outcome, error or attempt_error)
        return True


async def _end_failed(connection: Connection, video: str, stage: str, attempt: int, reason: str) -> Fact:
    await connection.execute(
        """UPDATE video_stages SET status = 'dropped', lease_until = NULL
            WHERE video_id = $1 AND status IN ('open', 'running', 'retrying')""",
        video,
    )
    await connection.execute(
        "UPDATE stage_attempts SET ended_at = now(), outcome = 'dropped' WHERE video_id = $1 AND outcome = 'running'",
        video,
    )
    row: Any = await connection.fetchrow(
        """UPDATE video_queue SET status = 'failed', ended_at = now(), reason = $2 WHERE id = $1
        RETURNING ended_at, traceparent""",
        *(video, reason),
    )
    return _fact(flow.FAILED_FACT, video, stage, attempt, row["ended_at"], trace=row["traceparent"], reason=reason)


def _fact(type_: str, video: str, stage: str, attempt: int, at: datetime, *, trace: str, reason: str = "") -> Fact:
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
