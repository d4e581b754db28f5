"""What the statements about videos do: accepted, promoted, admitted, ended by an operator, taken up again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from schema.record import admission, endings, refusals, videos
from tests.simulation.record.statements import statement
from tests.simulation.record.tables import LIVE, Row, Rows, Tables, by

_NEW_STAGE: Row = {
    "status": "open",
    "attempt": 0,
    "failures": 0,
    "crashes": 0,
    "claim_id": None,
    "worker": None,
    "entry": None,
    "lease_until": None,
    "retry_at": None,
    "progress": 0.0,
    "output": None,
    "error": None,
    "started_at": None,
    "ended_at": None,
    "published_at": None,
    "take": 0,
}


@statement("SELECT now()", "SELECT now() AS now")
def _now(_: Tables, now: datetime) -> Rows:
    return [{"now": now}]


@statement(
    "SELECT pg_advisory_xact_lock(hashtext('ytempire admission'))",
    f"SET LOCAL lock_timeout = '{endings._LOCK_WAIT}'",
    "SET LOCAL lock_timeout TO DEFAULT",
)
def _nothing(_: Tables, _now: datetime) -> Rows:
    return []


@statement(videos._ACCEPT)
def _accept(
    tables: Tables, now: datetime, video: str, key: str, priority: int, topic: str, brief: bytes, traceparent: str
) -> Rows:
    if tables.rows("video_queue", lambda row: row["key"] == key):
        return []
    row = {"id": video, "key": key, "status": "waiting", "priority": priority, "topic": topic, "brief": brief}
    row |= {"traceparent": traceparent, "created_at": now, "processing_started_at": None, "completed_at": None}
    return [tables.put("video_queue", video, {**row, "ended_at": None, "reason": None, "admissions": 0})]


@statement("SELECT id, status, priority, created_at FROM video_queue WHERE key = $1")
def _by_key(tables: Tables, _: datetime, key: str) -> Rows:
    return tables.rows("video_queue", lambda row: row["key"] == key)


@statement("SELECT EXISTS (SELECT 1 FROM video_queue WHERE key = $1)")
def _is_known(tables: Tables, now: datetime, key: str) -> Rows:
    return [{"exists": bool(_by_key(tables, now, key))}]


@statement(videos._AHEAD)
def _ahead(tables: Tables, _: datetime, priority: int, created_at: datetime) -> Rows:
    def is_ahead(row: Row) -> bool:
        first = row["priority"] > priority or (row["priority"] == priority and row["created_at"] < created_at)
        return row["status"] in ("queued", "waiting") and first

    return [{"count": min(len(tables.rows("video_queue", is_ahead)), videos._PLACES_COUNTED)}]


@statement(videos._WAITING)
def _waiting(tables: Tables, _: datetime, most: int) -> Rows:
    return [{"count": min(most, len(tables.rows("video_queue", lambda row: row["status"] == "waiting")))}]


@statement("SELECT status, count(*) AS n FROM video_queue GROUP BY status")
def _counts(tables: Tables, _: datetime) -> Rows:
    found: dict[str, int] = {}
    for row in tables.rows("video_queue"):
        found[row["status"]] = found.get(row["status"], 0) + 1
    return [{"status": status, "n": count} for status, count in sorted(found.items())]


@statement(refusals._NOTE)
def _note_refusal(tables: Tables, now: datetime, stream: str, entry_id: str, kind: str, error: str, hint: str) -> Rows:
    key = (stream, entry_id, kind)
    if tables.one("refused_events", key):
        return []
    row = {"from_stream": stream, "from_id": entry_id, "kind": kind, "error": error, "hint": hint, "at": now}
    return [tables.put("refused_events", key, row)]


def _rank(row: Row, now: datetime, age_per_priority_s: float) -> float:
    return float(row["priority"] + (now - row["created_at"]).total_seconds() / age_per_priority_s)


def _in_order(rows: Rows, now: datetime, age_s: float) -> Rows:
    return sorted(rows, key=lambda row: (-_rank(row, now, age_s), row["created_at"], row["id"]))


@statement(admission._PROMOTE)
def _promote(tables: Tables, now: datetime, age_s: float, capacity: int) -> Rows:
    room = max(0, capacity - len(tables.rows("video_queue", lambda row: row["status"] == "queued")))
    waiting = _in_order(tables.rows("video_queue", lambda row: row["status"] == "waiting"), now, age_s)
    return [tables.change("video_queue", row["id"], status="queued") for row in waiting[:room]]


@statement(admission._RECLAIM)
def _reclaim(tables: Tables, _: datetime, last: str) -> Rows:
    found = []
    for row in tables.rows("video_queue", lambda row: row["status"] == "queued"):
        stage = tables.one("video_stages", (row["id"], last))
        if stage and stage["status"] in LIVE:
            began = row["processing_started_at"] or stage["opened_at"]
            found.append(tables.change("video_queue", row["id"], status="processing", processing_started_at=began))
    return found


@statement(admission._IN_HAND)
def _in_hand(tables: Tables, _: datetime, last: str) -> Rows:
    live = tables.rows("video_stages", lambda row: row["stage"] == last and row["status"] in LIVE)
    return [{"count": len(live)}]


def _may_be_admitted(tables: Tables, video: str) -> bool:
    statuses = [row["status"] for row in tables.rows("video_stages", lambda row: row["video_id"] == video)]
    ended = all(status in ("done", "failed", "dropped") for status in statuses)
    return not statuses or (ended and any(status != "done" for status in statuses))


@statement(admission._ADMIT)
def _admit(tables: Tables, now: datetime, age_s: float, room: int, stages: list[str]) -> Rows:
    queued = tables.rows("video_queue", lambda row: row["status"] == "queued" and _may_be_admitted(tables, row["id"]))
    admitted = []
    for row in _in_order(queued, now, age_s)[:room]:
        count = row["admissions"] + 1
        tables.change("video_queue", row["id"], status="processing", processing_started_at=now, admissions=count)
        for stage in stages:
            key = (row["id"], stage)
            before = tables.one("video_stages", key)
            kept = {"attempt": before["attempt"], "take": before["take"]} if before else {}
            kept |= {name: before[name] for name in ("lease_until", "retry_at")} if before else {}
            if before is None or before["status"] != "done":
                new = {"video_id": row["id"], "stage": stage, **_NEW_STAGE, "opened_at": now, **kept}
                tables.put("video_stages", key, new)
        admitted.append({"id": row["id"], "traceparent": row["traceparent"], "admissions": count})
    return admitted


@statement(
    """SELECT v.id, v.traceparent, v.admissions
         FROM video_stages AS s JOIN video_queue AS v ON v.id = s.video_id
        WHERE s.stage = $1 AND s.status = 'open' AND s.published_at IS NULL ORDER BY s.opened_at"""
)
def _unpublished(tables: Tables, _: datetime, first: str) -> Rows:
    open_ = tables.rows(
        "video_stages",
        lambda row: row["stage"] == first and row["status"] == "open" and row["published_at"] is None,
    )
    return [tables["video_queue"][row["video_id"]] for row in by(open_, "opened_at", "video_id")]


@statement("UPDATE video_stages SET published_at = now() WHERE stage = $1 AND video_id = ANY($2)")
def _mark_published(tables: Tables, now: datetime, stage: str, names: list[str]) -> Rows:
    return [
        tables.change("video_stages", (video, stage), published_at=now)
        for video in names
        if tables.one("video_stages", (video, stage))
    ]


@statement("SELECT id, status, priority FROM video_queue WHERE status IN ('queued', 'processing')")
def _mirrored(tables: Tables, _: datetime) -> Rows:
    return tables.rows("video_queue", lambda row: row["status"] in ("queued", "processing"))


@statement("SELECT status FROM video_queue WHERE id = $1", "SELECT ended_at, reason FROM video_queue WHERE id = $1")
def _status(tables: Tables, _: datetime, video: str) -> Rows:
    row = tables.one("video_queue", video)
    return [{name: row[name] for name in ("status", "ended_at", "reason")}] if row else []


@statement(endings._LOCK_STAGES)
def _lock_stages(tables: Tables, _: datetime, video: str) -> Rows:
    return by(tables.rows("video_stages", lambda row: row["video_id"] == video), "stage")


@statement(endings._LOCK_VIDEO)
def _lock_video(tables: Tables, _: datetime, video: str) -> Rows:
    row = tables.one("video_queue", video)
    return [row] if row else []


@statement(endings._CANCEL)
def _cancel(tables: Tables, now: datetime, video: str, reason: str) -> Rows:
    return [tables.change("video_queue", video, status="cancelled", ended_at=now, reason=reason)]


@statement(endings._REOPEN)
def _reopen(tables: Tables, _: datetime, video: str) -> Rows:
    times = {"processing_started_at": None, "completed_at": None, "ended_at": None}
    return [tables.change("video_queue", video, status="waiting", reason=None, **times)]


@statement(endings._DISCARD)
def _discard(tables: Tables, _: datetime, video: str, stages: list[str], fresh: int) -> Rows:
    nothing: dict[str, Any] = dict.fromkeys(("error", "output", "started_at", "ended_at", "retry_at", "lease_until"))
    return [
        tables.change(
            "video_stages",
            (video, row["stage"]),
            status="dropped",
            failures=0,
            crashes=0,
            progress=0.0,
            take=row["take"] + fresh,
            **nothing,
        )
        for row in _lock_stages(tables, _, video)
        if row["stage"] in stages
    ]


@statement(
    """SELECT * FROM admission_stops
        WHERE renewed_at > now() - make_interval(secs => $1) ORDER BY placed_at"""
)
def _stops(tables: Tables, now: datetime, stale_s: float) -> Rows:
    since = now - timedelta(seconds=stale_s)
    return by(tables.rows("admission_stops", lambda row: row["renewed_at"] > since), "placed_at")
