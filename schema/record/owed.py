"""What Redis must hold: the facts that stages in hand are waiting for, as the record says.

Publishing them again is harmless at any time, since the claim decides who works; so this errs on the side of saying a
fact once too often. Work with a live lease is left alone, and so is what was committed less than a grace ago.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

import msgspec

from schema import flow
from schema.events.fact import Fact, admission, fact_id, stamp
from schema.record.postgres import Connection, Postgres

_IN_HAND = """
SELECT s.video_id, s.stage, s.status, s.attempt, s.opened_at, s.ended_at, s.retry_at, s.lease_until, v.traceparent,
       v.admissions, now() AS now
  FROM video_stages AS s JOIN video_queue AS v ON v.id = s.video_id
 WHERE s.video_id IN (
       SELECT video_id FROM video_stages WHERE stage = $1 AND status IN ('open', 'running', 'retrying'))"""


class StageState(msgspec.Struct, frozen=True):
    """A stage row of a video in hand, as far as it matters here."""

    video: str
    stage: str
    status: str
    attempt: int
    opened_at: datetime
    ended_at: datetime | None
    retry_at: datetime | None
    lease_until: datetime | None
    traceparent: str
    admissions: int = 1


class Owed(msgspec.Struct, frozen=True):
    """A stage that should be started by some entry, and the fact that starts it."""

    video: str
    stage: str
    stream: str
    fact: Fact


class Debts:
    """Reads what is owed."""

    def __init__(self, postgres: Postgres, *, grace_s: float) -> None:
        self._postgres, self._grace_s = postgres, grace_s

    async def owed(self) -> list[Owed]:
        """All that stages in hand wait for; bounded by the videos in hand."""

        async def work(connection: Connection) -> list[Owed]:
            rows = await connection.fetch(_IN_HAND, flow.LAST.name)
            states = [
                StageState(
                    row["video_id"],
                    row["stage"],
                    row["status"],
                    row["attempt"],
                    row["opened_at"],
                    row["ended_at"],
                    row["retry_at"],
                    row["lease_until"],
                    row["traceparent"],
                    row["admissions"],
                )
                for row in rows
            ]
            return owed(states, now=rows[0]["now"], grace_s=self._grace_s) if rows else []

        return await self._postgres.run(work)


def owed(states: Iterable[StageState], *, now: datetime, grace_s: float) -> list[Owed]:
    """The facts owed to these stages at `now`; a pure function of the rows."""
    by_video: dict[str, dict[str, StageState]] = defaultdict(dict)
    for state in states:
        by_video[state.video][state.stage] = state
    found = []
    for rows in by_video.values():
        for stage in flow.STAGES:
            if (row := rows.get(stage.name)) is None or not _startable(row, now, grace_s):
                continue
            inputs = [rows[name] for name in stage.inputs if name in rows]
            if any(other.status != "done" for other in inputs):
                continue
            since = [other.ended_at for other in inputs if other.ended_at is not None] or [row.opened_at]
            if (now - max(since)).total_seconds() >= grace_s:
                found.append(_owed(row, stage, inputs))
    return found


def _startable(row: StageState, now: datetime, grace_s: float) -> bool:
    if row.status == "open":
        return True
    due = {"retrying": row.retry_at, "running": row.lease_until}.get(row.status)
    return due is not None and (now - due).total_seconds() >= grace_s


def _owed(row: StageState, stage: flow.Stage, inputs: list[StageState]) -> Owed:
    if not inputs:
        fact = admission(row.video, at=row.opened_at, traceparent=row.traceparent, number=row.admissions)
        return Owed(row.video, stage.name, flow.ADMITTED_STREAM, fact)
    last = max(inputs, key=lambda other: other.ended_at or other.opened_at)
    source = flow.STAGE[last.stage]
    fact = Fact(
        type=source.fact,
        id=fact_id(row.video, source.name, last.attempt),
        video=row.video,
        stage=source.name,
        attempt=last.attempt,
        at=stamp(last.ended_at or last.opened_at),
        traceparent=row.traceparent,
    )
    return Owed(row.video, stage.name, source.stream, fact)
