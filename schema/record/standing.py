"""Standing orders: the modes and throttles in force, a set like the holds, for all or for one video or host.

A guardian lifts only its own; an operator's `normal` or `all` lifts everybody's, and acknowledges the guardians' causes
until they change: an order for an acknowledged cause is not placed. Statements for a transaction that somebody else has
begun.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from schema.events.command import Command, is_guardian
from schema.record.postgres import Connection

#: The value that lifts, by kind.
LIFTS = {"mode": "normal", "throttle": "all"}

# What was written here directly is newer than all in the stream, until its own entry comes.
_PLACE = """
INSERT INTO standing_orders (kind, scope, cause, by, value, reason, command, entry)
SELECT $1, $2, $3, $4, $5, $6, $7, $8
 WHERE NOT EXISTS (SELECT 1 FROM acknowledged_orders WHERE (kind, scope, cause, by) = ($1, $2, $3, $4))
ON CONFLICT (kind, scope, cause, by) DO UPDATE
   SET value = excluded.value, reason = excluded.reason, command = excluded.command, entry = excluded.entry,
       placed_at = now()
 WHERE excluded.entry IS NULL OR standing_orders.entry < excluded.entry
RETURNING true"""

_LIFT = """
DELETE FROM standing_orders
 WHERE kind = $1 AND ($2 = '' OR scope = $2) AND ($3 = '' OR cause = $3) AND ($4 = '' OR by = $4)
   AND ($5::bigint[] IS NULL OR (entry IS NOT NULL AND entry < $5)) RETURNING scope, cause, by"""

_ACKNOWLEDGE = """
INSERT INTO acknowledged_orders (kind, scope, cause, by) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, scope, cause, by) DO UPDATE SET acknowledged_at = now()"""

_CHANGED = """
DELETE FROM acknowledged_orders WHERE kind = $1 AND ($2 = '' OR scope = $2) AND ($3 = '' OR cause = $3) AND by = $4"""

_TIDY = """
DELETE FROM {table} AS o USING video_queue AS v WHERE o.kind = 'mode' AND v.id = o.scope AND v.ended_at IS NOT NULL"""


class Order(msgspec.Struct, frozen=True):
    """One mode or throttle that somebody asked for; `scope` is a video or a host, empty for all."""

    kind: str
    scope: str
    cause: str
    by: str
    value: str
    reason: str
    placed_at: datetime


async def give(connection: Connection, command: Command, *, token: str, entry: list[int] | None) -> str:
    """Place or lift what a `mode` or `throttle` asks for; returns what came of it, in words."""
    kind, value = command.verb, command.mode or command.jobs
    scope = command.video or command.host
    if value == LIFTS[kind]:
        return await _lift(connection, command, kind, scope, entry)
    placed = await connection.fetchval(
        _PLACE, kind, scope, command.cause, command.by, value, command.reason, token, entry
    )
    if not placed:
        return "nothing: an operator acknowledged this cause, or something newer is in force"
    return f"{value} for {scope or 'all'}"


async def _lift(connection: Connection, command: Command, kind: str, scope: str, entry: list[int] | None) -> str:
    own = command.by if is_guardian(command.by) else ""
    rows = await connection.fetch(_LIFT, kind, scope, command.cause, own, entry)
    if own:
        await connection.execute(_CHANGED, kind, scope, command.cause, own)
    for row in rows:
        if not own and is_guardian(row["by"]):
            await connection.execute(_ACKNOWLEDGE, kind, row["scope"], row["cause"], row["by"])
    return f"lifted {len(rows)}"


async def orders(connection: Connection) -> tuple[Order, ...]:
    """All that is in force, the oldest first."""
    rows = await connection.fetch(
        "SELECT kind, scope, cause, by, value, reason, placed_at FROM standing_orders ORDER BY placed_at"
    )
    return tuple(Order(**dict(row)) for row in rows)


async def unsent(connection: Connection) -> list[Command]:
    """Commands whose orders are not in the stream yet: whoever wrote them could not publish them."""
    rows = await connection.fetch(
        """SELECT kind, scope, cause, by, value, reason, command FROM standing_orders
            WHERE entry IS NULL AND placed_at < now() - interval '1 second'"""
    )
    return [_command(row["kind"], row["value"], row["scope"], **_common(dict(row))) for row in rows]


async def tidy(connection: Connection) -> None:
    """Forget the modes of videos that have ended."""
    for table in ("standing_orders", "acknowledged_orders"):
        await connection.execute(_TIDY.format(table=table))


def modes_of(found: Iterable[Order], video: str) -> list[str]:
    """The modes asked for all videos and for this one; the empty name is all alone."""
    return [order.value for order in found if order.kind == "mode" and order.scope in ("", video)]


def jobs_allowed(found: Iterable[Order], host: str) -> int | None:
    """How many GPU jobs may run at once on this host; None: as many as like."""
    throttles = [order for order in found if order.kind == "throttle" and order.scope in ("", host)]
    return min((int(order.value) for order in throttles), default=None)


def _common(row: dict[str, str]) -> dict[str, str]:
    return {"reason": row["reason"], "by": row["by"], "cause": row["cause"], "id": row["command"]}


def _command(kind: str, value: str, scope: str, **common: str) -> Command:
    own = {"mode": value, "video": scope} if kind == "mode" else {"jobs": value, "host": scope}
    return msgspec.convert({"verb": kind, **own, **common}, Command)
