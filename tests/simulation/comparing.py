"""Two records side by side: answers and tables without what no two records have in common, and time that goes by."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from tests.simulation.record.tables import Tables

_STAMP: Final = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z$")
#: What differs between two records that say the same, and what one of them does not keep.
_OWN: Final = {"claim_id", "changed_at", "host"}
_MONEY: Final = {"days", "reservations", "purchases", "uses", "overruns", "refused_prices", "quota_uses"}
_TRAVELS: Final = {
    "video_queue": ("created_at", "processing_started_at", "completed_at", "ended_at"),
    "video_stages": ("lease_until", "retry_at", "opened_at", "started_at", "ended_at", "published_at"),
    "holds": ("placed_at",),
    "standing_orders": ("placed_at",),
    "control_log": ("applied_at",),
    "acknowledged_causes": ("acknowledged_at",),
}


def shown(value: Any) -> Any:  # noqa: ANN401, C901, PLR0911 - whatever was answered, of any kind
    """An answer as both sides can give it: no times, no names that are drawn."""
    match value:
        case datetime():
            return "a time"
        case Decimal():
            return f"{value.normalize():f}"
        case bool() | int() | None | UUID():
            return value
        case float():
            return "a number" if abs(value) < float("inf") else value
        case bytes():
            return shown(msgspec.json.decode(value))
        case str():
            return "a time" if _STAMP.match(value) else value
        case dict():
            return {str(name): shown(each) for name, each in sorted(value.items())}
        case set() | frozenset():
            return sorted(map(shown, value))
        case list() | tuple():
            return [shown(each) for each in value]
        case msgspec.Struct():
            return {name: shown(getattr(value, name)) for name in value.__struct_fields__}
    return str(value)


def of_memory(tables: Tables, columns: dict[str, set[str]]) -> dict[str, list[Any]]:
    """All tables in memory, by the columns that they have on both sides."""
    return {name: _sorted(tables.rows(name), columns[name]) for name in columns}


async def columns_of(owner: asyncpg.Connection[asyncpg.Record], tables: Tables) -> dict[str, set[str]]:
    """The columns of each table of Postgres that the tables in memory know, too."""
    found: dict[str, set[str]] = {}
    for name in tables._tables:
        schema, table = _place(name)
        rows = await owner.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2",
            *(schema, table),
        )
        found[name] = {row["column_name"] for row in rows} - _OWN
    return found


async def of_postgres(
    owner: asyncpg.Connection[asyncpg.Record], columns: dict[str, set[str]], tables: Tables
) -> dict[str, list[Any]]:
    """All tables of Postgres, likewise."""
    found = {}
    for name, all_columns in columns.items():
        known = {column for row in tables.rows(name) for column in row} or all_columns
        rows = await owner.fetch("SELECT * FROM {}.{}".format(*_place(name)))  # noqa: S608 - names of ours
        columns[name] = all_columns & known
        found[name] = _sorted([dict(row) for row in rows], columns[name])
    return found


def _place(name: str) -> tuple[str, str]:
    if name == "money_videos":
        return "money", "videos"
    return ("money", name) if name in _MONEY else ("public", name)


def _sorted(rows: list[dict[str, Any]], columns: set[str]) -> list[Any]:
    plain = [{name: _plain(name, row[name]) for name in sorted(columns)} for row in rows]
    return sorted(plain, key=repr)


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401 - a column's
    if name in ("brief", "output", "units", "artifacts", "used") and isinstance(value, str | bytes):
        return shown(msgspec.json.decode(value))
    if name == "id" and isinstance(value, int) and not isinstance(value, bool):
        return "a number"
    if name == "slice":
        return "a time"
    return shown(list(value)) if isinstance(value, list | tuple) else shown(value)


async def travel(owner: asyncpg.Connection[asyncpg.Record], tables: Tables, seconds: float) -> None:
    """Let so much time go by, on both sides: all that is written down lies further back."""
    for name, columns in _TRAVELS.items():
        sets = ", ".join(f"{column} = {column} - make_interval(secs => {seconds})" for column in columns)
        await owner.execute(f"UPDATE {name} SET {sets}")  # noqa: S608 - names of ours
        for key, row in list(tables[name].items()):
            back = {column: row[column] and row[column] - timedelta(seconds=seconds) for column in columns}
            tables.change(name, key, **back)
    tables.commit()
