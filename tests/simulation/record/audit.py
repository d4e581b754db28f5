"""What the integrity guardian's statements do: contradictions mended, ended work dropped, films looked at by turns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from schema.record import audit, films
from tests.simulation.record.statements import statement
from tests.simulation.record.tables import LIVE, Row, Rows, Tables, by

_ENDED: Final = ("completed", "failed", "cancelled")


def _stages(tables: Tables, video: str) -> Rows:
    return tables.rows("video_stages", lambda row: row["video_id"] == video)


def _live_last(tables: Tables, video: str, last: str) -> bool:
    row = tables.one("video_stages", (video, last))
    return bool(row and row["status"] in LIVE)


def _mended(tables: Tables, wrong: Callable[[Row], bool], change: Callable[[Row], Row], detail: str) -> Rows:
    rows = tables.rows("video_queue", wrong)[: audit._MOST]
    for row in rows:
        tables.change("video_queue", row["id"], **change(row))
    return [{"id": row["id"], "detail": detail.format(**row)} for row in rows]


@statement(audit._MENDS["ended_without_time"])
def _ended_without_time(tables: Tables, now: datetime) -> Rows:
    def wrong(row: Row) -> bool:
        untimed = row["status"] == "completed" and row["completed_at"] is None
        return untimed or (row["status"] in _ENDED and row["ended_at"] is None)

    def change(row: Row) -> Row:
        last = max((s["ended_at"] for s in _stages(tables, row["id"]) if s["ended_at"]), default=None)
        ended = row["ended_at"] or row["completed_at"] or last or now
        done = row["completed_at"] or row["ended_at"] or last or now
        return {"ended_at": ended, "completed_at": done if row["status"] == "completed" else row["completed_at"]}

    return _mended(tables, wrong, change, "{status} without its time: it has the one of its last stage now")


@statement(audit._MENDS["completed_in_hand"])
def _completed_in_hand(tables: Tables, _: datetime, last: str) -> Rows:
    def change(row: Row) -> Row:
        began = row["processing_started_at"] or row["created_at"]
        return {"status": "processing", "completed_at": None, "ended_at": None, "processing_started_at": began}

    return _mended(
        tables,
        lambda row: row["status"] == "completed" and _live_last(tables, row["id"], last),
        change,
        "completed while its stages are in hand: it is processing again",
    )


_QUEUED: Final[Row] = {"status": "queued", "processing_started_at": None}


@statement(audit._MENDS["processing_without_stages"])
def _without_stages(tables: Tables, _: datetime) -> Rows:
    return _mended(
        tables,
        lambda row: row["status"] == "processing" and not _stages(tables, row["id"]),
        lambda _row: _QUEUED,
        "processing without stages: it is queued again",
    )


@statement(audit._MENDS["processing_finished"])
def _finished(tables: Tables, _: datetime, last: str) -> Rows:
    def done(row: Row) -> Row | None:
        stage = tables.one("video_stages", (row["id"], last))
        return stage if row["status"] == "processing" and stage and stage["status"] == "done" else None

    def change(row: Row) -> Row:
        ended = tables["video_stages"][row["id"], last]["ended_at"]
        return {"status": "completed", "completed_at": ended, "ended_at": ended}

    detail = "processing although its last stage is done: it is completed"
    return _mended(tables, lambda row: done(row) is not None, change, detail)


def _any(tables: Tables, video: str, *statuses: str) -> Row | None:
    return next((row for row in _stages(tables, video) if row["status"] in statuses), None)


@statement(audit._MENDS["processing_failed"])
def _failed(tables: Tables, now: datetime) -> Rows:
    def wrong(row: Row) -> bool:
        failed = row["status"] == "processing" and _any(tables, row["id"], "failed")
        return bool(failed and not _any(tables, row["id"], *LIVE))

    def change(row: Row) -> Row:
        stage = _any(tables, row["id"], "failed") or {}
        reason = stage["error"] or stage["stage"]
        return {"status": "failed", "ended_at": stage["ended_at"] or now, "reason": reason}

    return _mended(tables, wrong, change, "processing although a stage has failed: it is failed")


@statement(audit._MENDS["processing_dropped"])
def _dropped(tables: Tables, _: datetime, last: str) -> Rows:
    def wrong(row: Row) -> bool:
        stage = tables.one("video_stages", (row["id"], last))
        dropped = row["status"] == "processing" and stage and stage["status"] == "dropped"
        return bool(dropped and not _any(tables, row["id"], "failed", *LIVE))

    detail = "processing although its stages were dropped: it is queued again"
    return _mended(tables, wrong, lambda _row: _QUEUED, detail)


@statement(audit._MENDS["running_without_lease"])
def _without_lease(tables: Tables, now: datetime) -> Rows:
    rows = tables.rows("video_stages", lambda row: row["status"] == "running" and row["lease_until"] is None)
    for row in rows:
        tables.change("video_stages", (row["video_id"], row["stage"]), lease_until=now)
    words = "running without a lease: its worker counts as silent"
    return [{"id": row["video_id"], "detail": f"{row['stage']} {words}"} for row in rows]


@statement(audit._MENDS["done_without_output"])
def _without_output(tables: Tables, now: datetime, last: str) -> Rows:
    def wrong(row: Row) -> bool:
        bare = row["output"] is None or row["ended_at"] is None
        return row["status"] == "done" and bare and _live_last(tables, row["video_id"], last)

    again: dict[str, Any] = {"status": "open", "output": None, "ended_at": None, "progress": 0.0, "opened_at": now}
    rows = tables.rows("video_stages", wrong)
    for row in rows:
        tables.change("video_stages", (row["video_id"], row["stage"]), **again)
    return [
        {"id": row["video_id"], "detail": f"{row['stage']} done without its output: it is open again"} for row in rows
    ]


@statement(audit._ENDED_IN_HAND)
def _ended_in_hand(tables: Tables, _: datetime, last: str) -> Rows:
    return tables.rows(
        "video_queue",
        lambda row: row["status"] in ("failed", "cancelled") and _live_last(tables, row["id"], last),
    )


@statement(audit._NEVER_FINISHED)
def _never_finished(tables: Tables, _: datetime, last: str) -> Rows:
    def wrong(row: Row) -> bool:
        stage = tables.one("video_stages", (row["id"], last))
        done = stage and stage["status"] == "done" and stage["output"] is not None
        return row["status"] == "completed" and not done and not _any(tables, row["id"], *LIVE)

    return tables.rows("video_queue", wrong)


@statement("SELECT FROM video_stages WHERE video_id = $1 ORDER BY stage FOR UPDATE")
def _lock(tables: Tables, _: datetime, video: str) -> Rows:
    return [{} for _row in _stages(tables, video)]


@statement(audit._QUARANTINE)
def _quarantine(tables: Tables, now: datetime, video: str, reason: str) -> Rows:
    row = tables.one("video_queue", video)
    if row is None or row["status"] != "completed":
        return []
    tables.change("video_queue", video, status="failed", completed_at=None, ended_at=now, reason=reason)
    return [{"done": True}]


@statement(audit._DROP_FILES)
def _drop_files(tables: Tables, _: datetime, video: str, first: str) -> Rows:
    gone: dict[str, Any] = {"status": "dropped", "output": None, "progress": 0.0, "started_at": None, "ended_at": None}
    rows = [row for row in _stages(tables, video) if row["stage"] != first]
    return [tables.change("video_stages", (video, row["stage"]), **gone) for row in rows]


@statement("SELECT * FROM close_idle_sessions($1)")
def _close_idle_sessions(_: Tables, _now: datetime, _idle_s: float) -> Rows:
    return []


def _completed(tables: Tables, last: str, render: str) -> Rows:
    found = []
    for row in tables.rows("video_queue", lambda row: row["status"] == "completed"):
        verdict = tables.one("video_stages", (row["id"], last))
        film = tables.one("video_stages", (row["id"], render))
        if verdict and verdict["status"] == "done":
            done = film if film and film["status"] == "done" else {"output": None}
            found.append({**row, "verdict": verdict["output"], "film": done["output"]})
    return found


@statement(films._NEW)
def _new_films(tables: Tables, _: datetime, last: str, render: str, since: datetime, most: int) -> Rows:
    new = [row for row in _completed(tables, last, render) if row["ended_at"] > since]
    return by(new, "ended_at", "id")[:most]


@statement(films._NEXT)
def _next_film(tables: Tables, _: datetime, last: str, render: str, place: str) -> Rows:
    return by([row for row in _completed(tables, last, render) if row["id"] > place], "id")[:1]


@statement(films._PLACE)
def _film_place(tables: Tables, _: datetime, reader: str, stream: str) -> Rows:
    row = tables.one("cursors", (reader, stream))
    return [{"entry_id": row["entry_id"]}] if row else []


@statement(films._MOVE)
def _film_move(tables: Tables, _: datetime, reader: str, stream: str, entry_id: str) -> Rows:
    row = {"reader": reader, "stream": stream, "entry_id": entry_id, "generation": 0}
    return [tables.put("cursors", (reader, stream), row)]
