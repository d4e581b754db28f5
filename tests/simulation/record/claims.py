"""What the statements about stages and their attempts do: claimed, renewed, left, dropped, timed out; what is owed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from schema.record import attempts, claiming, overdue, owed
from tests.simulation.record.statements import statement
from tests.simulation.record.tables import LIVE, Row, Rows, Tables


def seconds(later: datetime | None, earlier: datetime) -> float | None:
    """The difference as SQL has it: nothing where there is no time."""
    return None if later is None else (later - earlier).total_seconds()


@statement(claiming._LOOK)
def _look(tables: Tables, now: datetime, video: str, stage: str) -> Rows:
    row = tables.one("video_stages", (video, stage))
    if row is None:
        return []
    queued = tables["video_queue"][video]
    return [
        {
            **row,
            "brief": queued["brief"],
            "traceparent": queued["traceparent"],
            "lease_left_s": seconds(row["lease_until"], now),
            "server_up_s": (now - tables.server_started_at).total_seconds(),
            "retry_pending": row["retry_at"] is not None and row["retry_at"] > now,
        }
    ]


@statement(claiming._INPUTS_DONE)
def _inputs(tables: Tables, _: datetime, video: str, stages: list[str]) -> Rows:
    return [row for stage in stages if (row := tables.one("video_stages", (video, stage)))]


@statement(claiming._TAKE)
def _take(
    tables: Tables,
    now: datetime,
    video: str,
    stage: str,
    crashes: int,
    claim_id: UUID,
    worker: str,
    entry: str,
    lease_s: float,
) -> Rows:
    row = tables["video_stages"][video, stage]
    return [
        {
            "attempt": tables.change(
                "video_stages",
                (video, stage),
                **{"status": "running", "attempt": row["attempt"] + 1, "crashes": crashes, "claim_id": claim_id},
                **{"worker": worker, "entry": entry, "lease_until": now + timedelta(seconds=lease_s)},
                **{"retry_at": None, "progress": 0.0, "error": None, "started_at": now, "ended_at": None},
            )["attempt"]
        }
    ]


@statement("INSERT INTO stage_attempts (video_id, stage, attempt, worker) VALUES ($1, $2, $3, $4)")
def _attempt_begins(tables: Tables, now: datetime, video: str, stage: str, attempt: int, worker: str) -> Rows:
    row = {"video_id": video, "stage": stage, "attempt": attempt, "worker": worker, "started_at": now}
    row |= {"ended_at": None, "outcome": "running", "error": None}
    assert tables.one("stage_attempts", (video, stage, attempt)) is None, "an attempt begins once"
    return [tables.put("stage_attempts", (video, stage, attempt), row)]


@statement(
    """UPDATE video_stages SET status = 'failed', crashes = $3, error = $4, ended_at = now(),
              lease_until = NULL WHERE video_id = $1 AND stage = $2"""
)
def _crash_loop(tables: Tables, now: datetime, video: str, stage: str, crashes: int, reason: str) -> Rows:
    values: dict[str, Any] = {"status": "failed", "crashes": crashes, "error": reason, "ended_at": now}
    return [tables.change("video_stages", (video, stage), **values, lease_until=None)]


@statement("SELECT count(*) FROM video_stages WHERE video_id = $1 AND stage = ANY($2) AND status <> 'done'")
def _not_done(tables: Tables, now: datetime, video: str, stages: list[str]) -> Rows:
    return [{"count": sum(row["status"] != "done" for row in _inputs(tables, now, video, stages))}]


@statement(claiming._RUNNING_HERE)
def _running_here(tables: Tables, now: datetime, stage: str, host: str) -> Rows:
    def runs(row: Row) -> bool:
        is_live = row["stage"] == stage and row["status"] == "running" and row["lease_until"] > now
        return is_live and row["worker"].rsplit("-", maxsplit=3)[0] == host

    return [{"count": len(tables.rows("video_stages", runs))}]


@statement("SELECT pg_advisory_xact_lock(hashtext('ytempire throttle ' || $1))")
def _lock_host(_: Tables, _now: datetime, _host: str) -> Rows:
    return []


def holds(tables: Tables, video: str, stage: str, attempt: int) -> Row | None:
    """The stage's row where this attempt is at work on it: the fence of every commit."""
    row = tables.one("video_stages", (video, stage))
    return row if row and row["attempt"] == attempt and row["status"] == "running" else None


@statement(attempts.RENEW)
def _renew(
    tables: Tables, now: datetime, video: str, stage: str, attempt: int, lease_s: float, progress: float
) -> Rows:
    if holds(tables, video, stage, attempt) is None:
        return []
    tables.change("video_stages", (video, stage), lease_until=now + timedelta(seconds=lease_s), progress=progress)
    return [{"renewed": True}]


@statement(attempts._LEAVE)
def leave(
    tables: Tables,
    now: datetime,
    video: str,
    stage: str,
    attempt: int,
    status: str,
    output: bytes | None,
    error: str | None,
    failures: int,
    delay_s: float | None,
) -> Rows:
    """The attempt leaves the stage in this status."""
    row = holds(tables, video, stage, attempt)
    return [] if row is None else left(tables, now, row, status, output, error, failures, delay_s)


def left(
    tables: Tables,
    now: datetime,
    row: Row,
    status: str,
    output: bytes | None,
    error: str | None,
    failures: int,
    delay_s: float | None,
) -> Rows:
    """What leaving does, whoever leaves."""
    values: dict[str, Any] = {"status": status, "output": output, "error": error, "lease_until": None}
    values["failures"] = row["failures"] + failures
    values["retry_at"] = None if delay_s is None else now + timedelta(seconds=delay_s)
    values["progress"] = 1.0 if status == "done" else row["progress"]
    values["ended_at"] = now if status in ("done", "failed") else None
    return [{"failures": tables.change("video_stages", (row["video_id"], row["stage"]), **values)["failures"]}]


@statement(attempts._ATTEMPT_ENDS)
def _attempt_ends(
    tables: Tables, now: datetime, video: str, stage: str, attempt: int, outcome: str, error: str | None
) -> Rows:
    key = (video, stage, attempt)
    row = tables.one("stage_attempts", key)
    if row is None or row["outcome"] != "running":
        return []
    return [tables.change("stage_attempts", key, ended_at=now, outcome=outcome, error=error)]


@statement(attempts._HAS_LEFT)
def _has_left(
    tables: Tables, _: datetime, video: str, stage: str, attempt: int, status: str, outcome: str
) -> Rows:
    row, ended = tables.one("video_stages", (video, stage)), tables.one("stage_attempts", (video, stage, attempt))
    if row is None or ended is None or row["attempt"] != attempt or ended["outcome"] != outcome:
        return []
    return [{"has": row["status"] == status}]


@statement(
    """UPDATE video_queue SET status = 'failed', ended_at = now(), reason = $2 WHERE id = $1
        RETURNING ended_at, traceparent"""
)
def _fail_video(tables: Tables, now: datetime, video: str, reason: str) -> Rows:
    return [tables.change("video_queue", video, status="failed", ended_at=now, reason=reason)]


@statement(
    """UPDATE video_stages SET status = 'dropped', lease_until = NULL, retry_at = NULL
        WHERE video_id = $1 AND status IN ('open', 'running', 'retrying')"""
)
def _drop_stages(tables: Tables, _: datetime, video: str) -> Rows:
    live = tables.rows("video_stages", lambda row: row["video_id"] == video and row["status"] in LIVE)
    gone: dict[str, Any] = {"status": "dropped", "lease_until": None, "retry_at": None}
    return [tables.change("video_stages", (video, row["stage"]), **gone) for row in live]


@statement(
    "UPDATE stage_attempts SET ended_at = now(), outcome = 'dropped' WHERE video_id = $1 AND outcome = 'running'"
)
def _drop_attempts(tables: Tables, now: datetime, video: str) -> Rows:
    live = tables.rows("stage_attempts", lambda row: row["video_id"] == video and row["outcome"] == "running")
    return [
        tables.change("stage_attempts", (video, row["stage"], row["attempt"]), ended_at=now, outcome="dropped")
        for row in live
    ]


@statement("UPDATE video_queue SET status = 'completed', completed_at = now(), ended_at = now() WHERE id = $1")
def _complete(tables: Tables, now: datetime, video: str) -> Rows:
    return [tables.change("video_queue", video, status="completed", completed_at=now, ended_at=now)]


@statement(owed._IN_HAND)
def _owed(tables: Tables, now: datetime, last: str) -> Rows:
    in_hand = {
        row["video_id"]
        for row in tables.rows("video_stages", lambda row: row["stage"] == last and row["status"] in LIVE)
    }
    return [
        {**row, **_of_video(tables["video_queue"][row["video_id"]]), "now": now}
        for row in tables.rows("video_stages", lambda row: row["video_id"] in in_hand)
    ]


def _of_video(row: Row) -> Row:
    return {"traceparent": row["traceparent"], "admissions": row["admissions"]}


def _resumed(tables: Tables) -> datetime | None:
    resumes = tables.rows("control_log", lambda row: row["verb"] == "resume")
    return max((row["applied_at"] for row in resumes), default=None)


def _running_s(tables: Tables, now: datetime, row: Row) -> float:
    resumed = _resumed(tables)
    began = row["started_at"] if resumed is None else max(row["started_at"], resumed)
    return float((now - began).total_seconds())


@statement(overdue._RUNNING)
def _running(tables: Tables, now: datetime) -> Rows:
    return [
        {
            **{name: row[name] for name in ("video_id", "stage", "attempt", "worker", "entry", "failures")},
            "running_s": _running_s(tables, now, row),
            "silent_s": (now - row["lease_until"]).total_seconds(),
            "server_up_s": (now - tables.server_started_at).total_seconds(),
            "length_s": float(msgspec.json.decode(tables["video_queue"][row["video_id"]]["brief"]).get("length_s", 0)),
        }
        for row in tables.rows("video_stages", lambda row: row["status"] == "running")
    ]


@statement(f"SELECT extract(epoch FROM now() - {overdue._RESUMED})::double precision")
def _unheld(tables: Tables, now: datetime) -> Rows:
    resumed = _resumed(tables)
    return [{"s": None if resumed is None else (now - resumed).total_seconds()}]


@statement(overdue._TIME_OUT)
def _time_out(
    tables: Tables, now: datetime, video: str, stage: str, attempt: int, status: str, error: str, limit_s: float
) -> Rows:
    row = holds(tables, video, stage, attempt)
    if row is None or _running_s(tables, now, row) <= limit_s:
        return []
    values: dict[str, Any] = {"status": status, "failures": row["failures"] + 1, "error": error}
    values |= {"lease_until": None, "retry_at": None, "ended_at": now if status == "failed" else None}
    tables.change("video_stages", (video, stage), **values)
    return [{"timed_out": True}]


@statement(
    """UPDATE stage_attempts SET ended_at = now(), outcome = 'timed_out', error = $4
        WHERE video_id = $1 AND stage = $2 AND attempt = $3 AND outcome = 'running'"""
)
def _attempt_times_out(tables: Tables, now: datetime, video: str, stage: str, attempt: int, error: str) -> Rows:
    return _attempt_ends(tables, now, video, stage, attempt, "timed_out", error)
