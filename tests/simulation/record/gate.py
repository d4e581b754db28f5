"""What the statements about holds, orders, commands and announcements do."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from schema.record import control_log, gate, standing
from tests.simulation.record.statements import statement
from tests.simulation.record.tables import Row, Rows, Tables, by

_SOON = timedelta(seconds=1)


def _place_of(tables: Tables, reader: str) -> Row:
    nothing = {"entry_id": "0-0", "generation": 0}
    return tables.one("cursors", (reader, "stream:control")) or nothing


@statement(gate._READ)
def _read(tables: Tables, _: datetime, reader: str) -> Rows:
    place = _place_of(tables, reader)
    columns = ("kind", "cause", "by", "reason", "placed_at")
    holds = [{name: row[name] for name in columns} for row in by(tables.rows("holds"), "placed_at", "kind", "by")]
    return [
        {
            "cursor": place["entry_id"],
            "generation": place["generation"],
            "holds": msgspec.json.encode(holds).decode(),
            "orders": msgspec.json.encode(_orders(tables, _)).decode(),
        }
    ]


@statement("SELECT kind, scope, cause, by, value, reason, placed_at FROM standing_orders ORDER BY placed_at")
def _orders(tables: Tables, _: datetime) -> Rows:
    columns = ("kind", "scope", "cause", "by", "value", "reason", "placed_at")
    rows = by(tables.rows("standing_orders"), "placed_at", "kind", "scope", "by")
    return [{name: row[name] for name in columns} for row in rows]


@statement(gate._PLACE)
def _place(
    tables: Tables,
    now: datetime,
    kind: str,
    cause: str,
    who: str,
    reason: str,
    command: str,
    entry: list[int] | None,
    is_guardian: bool,  # noqa: FBT001 - as the statement has it
) -> Rows:
    if is_guardian and tables.one("acknowledged_causes", (cause, who)):
        return []
    row = {"kind": kind, "cause": cause, "by": who, "reason": reason, "command": command, "entry": entry}
    tables.put("holds", (kind, cause, who), {**row, "placed_at": now})
    return [{"placed": True}]


@statement(gate._LIFT)
def _lift(tables: Tables, _: datetime, who: str, cause: str, before: list[int] | None) -> Rows:
    def goes(row: Row) -> bool:
        precedes = before is None or (row["entry"] is not None and row["entry"] < before)
        return who in ("", row["by"]) and cause in ("", row["cause"]) and precedes

    rows = by(tables.rows("holds", goes), "placed_at", "kind", "by", "cause")
    return [tables.delete("holds", (row["kind"], row["cause"], row["by"])) for row in rows]


@statement(gate._ACKNOWLEDGE)
def _acknowledge(tables: Tables, now: datetime, cause: str, who: str) -> Rows:
    row = {"cause": cause, "by": who, "acknowledged_at": now}
    return [tables.put("acknowledged_causes", (cause, who), row)]


@statement("DELETE FROM acknowledged_causes WHERE by = $1 AND ($2 = '' OR cause = $2)")
def _forget_causes(tables: Tables, _: datetime, who: str, cause: str) -> Rows:
    rows = tables.rows("acknowledged_causes", lambda row: row["by"] == who and cause in ("", row["cause"]))
    return [tables.delete("acknowledged_causes", (row["cause"], row["by"])) for row in rows]


@statement("SELECT cause FROM acknowledged_causes WHERE by = $1")
def _acknowledged(tables: Tables, _: datetime, who: str) -> Rows:
    return tables.rows("acknowledged_causes", lambda row: row["by"] == who)


@statement("SELECT kind, scope, cause FROM acknowledged_orders WHERE by = $1")
def _acknowledged_orders(tables: Tables, _: datetime, who: str) -> Rows:
    return tables.rows("acknowledged_orders", lambda row: row["by"] == who)


@statement("SELECT DISTINCT kind FROM holds")
def _kinds(tables: Tables, _: datetime) -> Rows:
    return [{"kind": kind} for kind in sorted({row["kind"] for row in tables.rows("holds")})]


@statement(
    """SELECT kind, cause, by, reason, command FROM holds
            WHERE entry IS NULL AND placed_at < now() - interval '1 second'"""
)
def _unsent_holds(tables: Tables, now: datetime) -> Rows:
    return tables.rows("holds", lambda row: row["entry"] is None and row["placed_at"] < now - _SOON)


@statement(
    """SELECT kind, scope, cause, by, value, reason, command FROM standing_orders
            WHERE entry IS NULL AND placed_at < now() - interval '1 second'"""
)
def _unsent_orders(tables: Tables, now: datetime) -> Rows:
    return tables.rows("standing_orders", lambda row: row["entry"] is None and row["placed_at"] < now - _SOON)


@statement(control_log._ENTER)
def _enter(
    tables: Tables, now: datetime, command: str, verb: str, who: str, reason: str, entry_id: str | None
) -> Rows:
    if (row := tables.one("control_log", command)) is not None:
        tables.change("control_log", command, entry_id=row["entry_id"] or entry_id)
        return [{"is_new": False}]
    _log(tables, now, command, verb, who, reason, entry_id)
    return [{"is_new": True}]


def _log(
    tables: Tables,
    now: datetime,
    command: str,
    verb: str,
    who: str,
    reason: str,
    entry_id: str | None,
    error: str | None = None,
    hint: str | None = None,
) -> Row:
    row = {"command": command, "verb": verb, "by": who, "reason": reason, "entry_id": entry_id, "applied_at": now}
    return tables.put("control_log", command, {**row, "error": error, "hint": hint})


@statement(control_log._REFUSE)
def _refuse(
    tables: Tables,
    now: datetime,
    command: str,
    verb: str,
    who: str,
    reason: str,
    entry_id: str,
    error: str,
    hint: str,
) -> Rows:
    if tables.one("control_log", command):
        return []
    return [_log(tables, now, command, verb, who, reason, entry_id, error, hint)]


@statement("SELECT error, hint FROM control_log WHERE command = $1")
def _refusal(tables: Tables, _: datetime, command: str) -> Rows:
    row = tables.one("control_log", command)
    return [row] if row else []


def _arrived(table: str) -> str:
    return f"UPDATE {table} SET entry = $2 WHERE command = $1 AND entry IS NULL"


def _set_entry(tables: Tables, table: str, command: str, entry: list[int]) -> Rows:
    return [
        tables.change(table, key, entry=entry)
        for key, row in list(tables[table].items())
        if row["command"] == command and row["entry"] is None
    ]


@statement(_arrived("holds"))
def _hold_arrived(tables: Tables, _: datetime, command: str, entry: list[int]) -> Rows:
    return _set_entry(tables, "holds", command, entry)


@statement(_arrived("standing_orders"))
def _order_arrived(tables: Tables, _: datetime, command: str, entry: list[int]) -> Rows:
    return _set_entry(tables, "standing_orders", command, entry)


@statement(control_log._ADVANCE)
def _advance(tables: Tables, _: datetime, reader: str, entry_id: str) -> Rows:
    place = _place_of(tables, reader)
    row = {"reader": reader, "stream": "stream:control", "entry_id": entry_id, "generation": place["generation"]}
    return [tables.put("cursors", (reader, "stream:control"), row)]


@statement(control_log._BEGIN_ANEW)
def _begin_anew(tables: Tables, _: datetime, reader: str) -> Rows:
    key = (reader, "stream:control")
    generation = tables["cursors"][key]["generation"] + 1 if tables.one("cursors", key) else 0
    row = {"reader": reader, "stream": "stream:control", "entry_id": "0-0", "generation": generation}
    return [tables.put("cursors", key, row)]


def _to_the_start(table: str) -> str:
    return f"UPDATE {table} SET entry = '{{0,0}}' WHERE entry IS NOT NULL"


def _precede(tables: Tables, table: str) -> Rows:
    sent = [key for key, row in tables[table].items() if row["entry"] is not None]
    return [tables.change(table, key, entry=[0, 0]) for key in sent]


@statement(_to_the_start("holds"))
def _holds_precede(tables: Tables, _: datetime) -> Rows:
    return _precede(tables, "holds")


@statement(_to_the_start("standing_orders"))
def _orders_precede(tables: Tables, _: datetime) -> Rows:
    return _precede(tables, "standing_orders")


@statement("SELECT entry_id, generation FROM cursors WHERE reader = $1 AND stream = 'stream:control'")
def _control_place(tables: Tables, _: datetime, reader: str) -> Rows:
    row = tables.one("cursors", (reader, "stream:control"))
    return [row] if row else []


@statement(standing._PLACE)
def _give(
    tables: Tables,
    now: datetime,
    kind: str,
    scope: str,
    cause: str,
    who: str,
    value: str,
    reason: str,
    command: str,
    entry: list[int] | None,
) -> Rows:
    key = (kind, scope, cause, who)
    if tables.one("acknowledged_orders", key):
        return []
    before = tables.one("standing_orders", key)
    newer = entry is None or (before is not None and before["entry"] is not None and before["entry"] < entry)
    if before is not None and not newer:
        return []
    row = {"kind": kind, "scope": scope, "cause": cause, "by": who, "value": value, "reason": reason}
    tables.put("standing_orders", key, {**row, "command": command, "entry": entry, "placed_at": now})
    return [{"placed": True}]


@statement(standing._LIFT)
def _lift_orders(
    tables: Tables, _: datetime, kind: str, scope: str, cause: str, who: str, before: list[int] | None
) -> Rows:
    def goes(row: Row) -> bool:
        wanted = scope in ("", row["scope"]) and cause in ("", row["cause"]) and who in ("", row["by"])
        precedes = before is None or (row["entry"] is not None and row["entry"] < before)
        return row["kind"] == kind and wanted and precedes

    rows = by(tables.rows("standing_orders", goes), "placed_at", "scope", "cause", "by")
    return [tables.delete("standing_orders", (kind, row["scope"], row["cause"], row["by"])) for row in rows]


@statement(standing._ACKNOWLEDGE)
def _acknowledge_order(tables: Tables, now: datetime, kind: str, scope: str, cause: str, who: str) -> Rows:
    row = {"kind": kind, "scope": scope, "cause": cause, "by": who, "acknowledged_at": now}
    return [tables.put("acknowledged_orders", (kind, scope, cause, who), row)]


@statement(standing._CHANGED)
def _order_changed(tables: Tables, _: datetime, kind: str, scope: str, cause: str, who: str) -> Rows:
    def goes(row: Row) -> bool:
        return row["kind"] == kind and scope in ("", row["scope"]) and cause in ("", row["cause"]) and row["by"] == who

    rows = tables.rows("acknowledged_orders", goes)
    return [tables.delete("acknowledged_orders", (kind, row["scope"], row["cause"], who)) for row in rows]


def _tidied(tables: Tables, table: str) -> Rows:
    def is_over(row: Row) -> bool:
        video = tables.one("video_queue", row["scope"])
        return row["kind"] == "mode" and video is not None and video["ended_at"] is not None

    keys = [key for key, row in tables[table].items() if is_over(row)]
    return [tables.delete(table, key) for key in keys]


@statement(standing._TIDY.format(table="standing_orders"))
def _tidy_orders(tables: Tables, _: datetime) -> Rows:
    return _tidied(tables, "standing_orders")


@statement(standing._TIDY.format(table="acknowledged_orders"))
def _tidy_acknowledged(tables: Tables, _: datetime) -> Rows:
    return _tidied(tables, "acknowledged_orders")


@statement("INSERT INTO announcements (type, video, by, reason, traceparent) VALUES ($1, $2, $3, $4, $5)")
def _announce(
    tables: Tables, now: datetime, type_: str, video: str, who: str, reason: str, traceparent: str
) -> Rows:
    number = tables.identity()
    row = {"id": number, "type": type_, "video": video, "by": who, "reason": reason, "traceparent": traceparent}
    return [tables.put("announcements", number, {**row, "at": now})]


@statement("SELECT id, type, video, by, reason, traceparent, at FROM announcements ORDER BY id LIMIT $1")
def _announcements(tables: Tables, _: datetime, most: int) -> Rows:
    return by(tables.rows("announcements"), "id")[:most]


@statement("DELETE FROM announcements WHERE id = ANY($1)")
def _said(tables: Tables, _: datetime, ids: list[int]) -> Rows:
    return [tables.delete("announcements", number) for number in ids if tables.one("announcements", number)]
