"""A stage's row: claimed with a lease and an attempt number, renewed, and committed only by the attempt that holds it.

The lease in the record is the one that decides, unless its worker is dead for certain. A zombie that wakes up late
finds a newer attempt, or its video ended, and commits nothing; what it did is thrown away. How an attempt begins is in
`claiming`, how it ends in `attempts`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import msgspec

from schema import flow
from schema.events.fact import Fact
from schema.record import attempts
from schema.record.attempts import Key
from schema.record.claiming import (
    AlreadyDone,
    Answer,
    Asked,
    Claim,
    CrashLoop,
    FailedBefore,
    Held,
    NothingToDo,
    NoWork,
    Throttled,
    Worker,
    begin,
)
from schema.record.postgres import Connection, Postgres, storable

__all__ = [
    "AlreadyDone",
    "Answer",
    "Claim",
    "Claims",
    "CrashLoop",
    "FailedBefore",
    "Held",
    "NoWork",
    "NothingToDo",
    "Throttled",
]


def _key(claim: Claim) -> Key:
    return (claim.video, claim.stage, claim.attempt)


class Claims:
    """The rows of video_stages, for the process `worker` on `host`."""

    def __init__(
        self,
        postgres: Postgres,
        *,
        worker: str,
        lease_s: float,
        max_crashes: int,
        host: str | None = None,
        surely_dead: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`host` as throttles name it; a consumer's name begins with it.

        `surely_dead` tells of a worker whether its process is gone for certain: then its lease is not waited for.
        """
        host = worker.rsplit("-", maxsplit=3)[0] if host is None else host
        self._postgres = postgres
        self._worker = Worker(name=worker, host=host, lease_s=lease_s, max_crashes=max_crashes, surely_dead=surely_dead)

    async def claim(self, video: str, stage: flow.Stage, *, entry: str, delayed: bool, again: bool = False) -> Answer:
        """Ask for the work that an entry speaks of.

        `delayed` when it comes from the lane of retries, `again` when it was delivered before and found no end.
        """
        claim_id = uuid.uuid4()

        async def work(connection: Connection) -> Answer:
            steady_for_s = self._postgres.steady_for_s()
            asked = Asked(video, stage, entry, delayed, again, claim_id, steady_for_s)
            return await begin(connection, self._worker, asked)

        return await self._postgres.run(work)

    async def renew(self, claim: Claim, progress: float) -> bool:
        """Renew the lease; False when this attempt no longer holds the stage."""

        async def work(connection: Connection) -> bool:
            share = min(max(progress, 0.0), 1.0)
            return bool(await connection.fetchval(attempts.RENEW, *_key(claim), self._worker.lease_s, share))

        return await self._postgres.run(work)

    async def commit(self, claim: Claim, output: msgspec.Struct) -> Fact | None:
        """Commit the result; the last stage completes the video. None when this attempt no longer holds the stage."""
        stage = flow.STAGE[claim.stage]

        async def work(connection: Connection) -> Fact | None:
            if not await attempts.leave(connection, _key(claim), "done", outcome="done", output=output):
                return None
            if stage == flow.LAST:
                await connection.execute(
                    """UPDATE video_queue SET status = 'completed', completed_at = now(), ended_at = now()
                        WHERE id = $1""",
                    claim.video,
                )
            now = await connection.fetchval("SELECT now()")
            return attempts.said(stage.fact, _key(claim), now, trace=claim.traceparent)

        return await self._postgres.run(work)

    async def fail(self, claim: Claim, reason: str) -> Fact | None:
        """Fail the stage and its video with `reason`; what other stages still do is dropped."""
        reason = storable(reason)

        async def work(connection: Connection) -> Fact | None:
            if not await attempts.leave(connection, _key(claim), "failed", outcome="failed", error=reason):
                return None
            return await attempts.end_failed(connection, _key(claim), reason)

        return await self._postgres.run(work)

    async def retry_later(self, claim: Claim, reason: str, delay_s: float, *, counts: bool = True) -> bool:
        """Give the stage back to be tried again after `delay_s`; `counts` is False where nothing was tried."""

        async def work(connection: Connection) -> bool:
            key, error = _key(claim), storable(reason)
            return await attempts.leave(
                connection, key, "retrying", outcome="retried", error=error, failures=int(counts), delay_s=delay_s
            )

        return await self._postgres.run(work)

    async def release(self, claim: Claim, reason: str) -> bool:
        """Give the stage back as if it had not been started: halted, or told to stop. Counts nothing."""

        async def work(connection: Connection) -> bool:
            return await attempts.leave(connection, _key(claim), "open", outcome="released", attempt_error=reason)

        return await self._postgres.run(work)
